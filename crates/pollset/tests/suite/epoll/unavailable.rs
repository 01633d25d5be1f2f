//! Environments in which epoll fails, wholly or for some descriptors: descriptor limits, sandboxes,
//! watch limits.

use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::time::Duration;

use libc::{ENOMEM, ENOSPC, ENOSYS, EPERM, c_long};
use pollset::{Engine, PollFlags, PollSet};

use super::seccomp::{self, CONTROL, CREATE, WAIT, forbid, forbid_adding_from, forbid_marks_from};
use super::{half_ready_counters, owned_counters, polled_set};
use crate::helpers::{MILLISECOND, event_counters, set_with_engine, use_up_descriptors};
use crate::util::fd::Fd;
use crate::util::limit::set_fd_limit;
use crate::util::open_fds::epoll_instances;
use crate::util::oracle::assert_matches_kernel;
use crate::util::process::{Child, in_own_process};
use crate::util::signal::Alarm;
use crate::util::{LONG, NOW, event, kinds};

#[test]
fn set_without_fd_for_an_instance_uses_poll_and_retries() {
    in_own_process(|| {
        let fds = half_ready_counters(20);
        let high = fds.iter().map(Fd::number).max().unwrap() as u64;
        set_fd_limit(64);
        let files = use_up_descriptors();
        let set = set_with_engine(Engine::Epoll, &fds);
        for _ in 0..20 {
            assert_eq!(assert_matches_kernel(&set).len(), 10);
        }
        assert_eq!(set.stats().last_engine, Some(Engine::Poll));
        assert!(set.stats().refused > 0);

        set_fd_limit(high + 1);
        for _ in 0..10_000 {
            assert_eq!(set.poll(NOW).unwrap().len(), 10);
            if set.stats().last_engine == Some(Engine::Epoll) {
                break;
            }
        }
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
        assert_eq!(assert_matches_kernel(&set).len(), 10);
        drop(files);
        assert_eq!(epoll_instances().len(), 1);
    });
}

#[test]
fn stale_events_are_not_reported_without_fd_for_a_new_instance() {
    in_own_process(|| {
        let mut fd = kinds::eventfd(1);
        let other = kinds::eventfd(0);
        let set = polled_set([&fd, &other]);
        let _duplicate = fd.dup();
        set_fd_limit(64);
        let _files = use_up_descriptors();
        fd.close();
        set.unregister(&fd).unwrap();
        for _ in 0..20 {
            assert_eq!(set.poll(NOW).unwrap(), []);
            assert_eq!(set.poll(2 * MILLISECOND).unwrap(), []);
        }
        assert!(set.stats().refused > 0);
        other.increment();
        assert_eq!(assert_matches_kernel(&set), [event(&other, PollFlags::IN)]);
    });
}

/// Changes and polls a set in all ways. It must report the events of poll(2) in the kernel.
fn exercise(set: &PollSet, fds: &[Fd]) {
    for round in 0..6 {
        for (index, fd) in fds.iter().enumerate().skip(round).step_by(3) {
            let mask = if index % 2 == 0 { PollFlags::IN } else { PollFlags::OUT };
            fd.increment();
            set.modify(fd, mask).unwrap();
            assert_matches_kernel(set);
        }
        let new = kinds::eventfd(1);
        set.register(&new, PollFlags::IN).unwrap();
        assert_matches_kernel(set);
        let _duplicate = new.dup();
        set.unregister(&new).unwrap();
        drop(new);
        assert_matches_kernel(set);
        let again = &fds[round];
        set.unregister(again).unwrap();
        assert_matches_kernel(set);
        set.register(again, PollFlags::IN).unwrap();
        assert_matches_kernel(set);
        for fd in fds {
            fd.drain();
            set.modify(fd, PollFlags::IN).unwrap();
        }
        assert_eq!(set.poll(NOW).unwrap(), []);
        for timeout in [Duration::from_micros(300), 2 * MILLISECOND] {
            let start = std::time::Instant::now();
            assert_eq!(set.poll(timeout).unwrap(), []);
            assert!(start.elapsed() >= timeout);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(2 * MILLISECOND);
                fds[1].increment();
            });
            assert_eq!(set.poll(None).unwrap(), [event(&fds[1], PollFlags::IN)]);
        });
        fds[1].drain();
    }
}

const SANDBOXES: [&[c_long]; 3] = [CREATE, CONTROL, WAIT];

/// Runs `test` in a child for each group of system calls and each errno with which it fails.
fn in_each_sandbox(test: impl Fn(&dyn Fn())) {
    for calls in SANDBOXES {
        for errno in [EPERM, ENOSYS] {
            eprintln!("system calls {calls:?} fail with errno {errno}");
            Child::run(|| test(&|| forbid(calls, errno))).join();
        }
    }
}

#[test]
fn set_created_in_sandbox_agrees_with_kernel() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        in_each_sandbox(|enter| {
            enter();
            let fds = event_counters(20, 0);
            exercise(&set_with_engine(Engine::Epoll, &fds), &fds);
        });
    });
}

#[test]
fn set_agrees_with_kernel_after_entering_sandbox() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        in_each_sandbox(|enter| {
            let fds = event_counters(20, 0);
            let set = set_with_engine(Engine::Epoll, &fds);
            exercise(&set, &fds);
            assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
            enter();
            exercise(&set, &fds);
            drop(set);
            assert_eq!(epoll_instances(), []);
        });
    });
}

#[test]
fn set_works_in_sandbox_without_getrandom() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let set = set_with_engine(Engine::Epoll, &fds);
        forbid(&[libc::SYS_getrandom], EPERM);
        // A new thread, whose hash maps need random keys of their own.
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(assert_matches_kernel(&set), []));
        });
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn instances_get_other_marks_where_some_are_refused() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        forbid_marks_from(61);
        let counter = kinds::eventfd(1);
        for _ in 0..130 {
            let set = polled_set([&counter]);
            assert_eq!(set.stats().refused, 0);
            drop(set);
            assert_eq!(epoll_instances(), []);
        }
    });
}

#[test]
fn automatic_set_agrees_with_kernel_after_entering_sandbox() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        in_each_sandbox(|enter| {
            let fds = event_counters(300, 0);
            let set = set_with_engine(None, &fds);
            while set.stats().last_engine != Some(Engine::Epoll) {
                assert_eq!(set.poll(NOW).unwrap(), []);
            }
            enter();
            for fd in &fds[..30] {
                fd.increment();
                assert_matches_kernel(&set);
                set.modify(fd, PollFlags::OUT).unwrap();
                assert_matches_kernel(&set);
                set.unregister(fd).unwrap();
                assert_matches_kernel(&set);
            }
        });
    });
}

#[test]
fn entering_sandbox_during_wait_does_not_lose_events() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        in_each_sandbox(|enter| {
            let fds = event_counters(20, 0);
            let set = set_with_engine(Engine::Epoll, &fds);
            set.poll(NOW).unwrap();
            let alarm = Alarm::every(2 * MILLISECOND);
            let mut is_sandboxed = false;
            let mut events = Vec::new();
            set.poll_interruptible(&mut events, LONG, || {
                if !is_sandboxed {
                    enter();
                    fds[3].increment();
                    is_sandboxed = true;
                }
                ControlFlow::Continue(())
            })
            .unwrap();
            drop(alarm);
            assert_eq!(events, [event(&fds[3], PollFlags::IN)]);
            fds[3].drain();
            exercise(&set, &fds);
        });
    });
}

#[test]
fn set_works_when_no_watch_can_be_added() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        for errno in [ENOSPC, ENOMEM] {
            Child::run(|| {
                forbid_adding_from(0, errno);
                let fds = event_counters(20, 0);
                let set = set_with_engine(Engine::Epoll, &fds);
                exercise(&set, &fds);
                assert!(set.stats().refused > 0);
                assert_eq!(set.stats().last_engine, Some(Engine::Poll));
            })
            .join();
        }
    });
}

#[test]
fn set_works_when_some_watches_cannot_be_added() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        for errno in [ENOSPC, ENOMEM] {
            Child::run(|| {
                let fds = event_counters(20, 0);
                let middle = fds[10].number();
                forbid_adding_from(middle, errno);
                let set = set_with_engine(Engine::Epoll, &fds);
                exercise(&set, &fds);
                assert!(set.stats().refused > 0);
                assert_eq!(epoll_instances(), []);
            })
            .join();
        }
    });
}

#[test]
fn set_falls_back_when_watches_run_out_and_retries() {
    if !seccomp::is_available() {
        return;
    }
    in_own_process(|| {
        for errno in [ENOSPC, ENOMEM] {
            Child::run(|| {
                let low = owned_counters(20);
                let set = set_with_engine(Engine::Epoll, &low);
                assert_eq!(set.poll(NOW).unwrap(), []);
                assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
                // `Fd` uses higher numbers.
                let high = kinds::eventfd(1);
                assert!(low.iter().all(|fd| fd.as_raw_fd() < high.number()));
                forbid_adding_from(high.number(), errno);
                set.register(&high, PollFlags::IN).unwrap();
                for _ in 0..20 {
                    assert_eq!(assert_matches_kernel(&set), [event(&high, PollFlags::IN)]);
                }
                assert_eq!(set.stats().last_engine, Some(Engine::Poll));
                set.unregister(&high).unwrap();
                for _ in 0..10_000 {
                    assert_eq!(set.poll(NOW).unwrap(), []);
                }
                assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
            })
            .join();
        }
    });
}
