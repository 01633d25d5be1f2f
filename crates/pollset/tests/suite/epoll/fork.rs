//! Sets on epoll in forked children, which must not touch the instance of their parent.

use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use pollset::{PollFlags, PollSet, Step, Waker};

use super::{
    entries, epoll_set, half_ready_counters, instance_fd, new_epoll, owned_counter, owned_counters,
    polled_set, replace_fd,
};
use crate::helpers::{MILLISECOND, event_counters, run_short_steps};
use crate::util::open_fds::epoll_instances;
use crate::util::oracle::assert_matches_kernel;
use crate::util::process::{Child, Side, in_own_process, run_and_exit_child};
use crate::util::signal::Alarm;
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, kinds};

#[test]
fn changes_in_child_do_not_affect_instance_of_parent() {
    in_own_process(|| {
        let fds = half_ready_counters(30);
        let set = polled_set(&fds);
        let before = assert_matches_kernel(&set);
        Child::run(|| {
            assert_eq!(assert_matches_kernel(&set), before);
            for fd in &fds[..20] {
                set.unregister(fd).unwrap();
            }
            set.modify(&fds[20], PollFlags::OUT).unwrap();
            let own = kinds::eventfd(1);
            set.register(&own, PollFlags::IN).unwrap();
            assert_eq!(assert_matches_kernel(&set).len(), 7);
        })
        .join();
        for _ in 0..3 {
            assert_eq!(set.poll(NOW).unwrap(), before);
        }
        assert_eq!(assert_matches_kernel(&set), before);
        assert_eq!(set.stats().replaced, 0);
    });
}

/// The parent has left the deletion of an entry to the end of its wait.
#[test]
fn child_does_not_delete_entries_that_its_parent_has_to_delete() {
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let set = polled_set(&fds);
        let instance = instance_fd();
        let waiting = set.start(NOW).unwrap();
        set.unregister(&fds[7]).unwrap();
        let before = entries(instance);
        Child::run(|| {
            set.unregister(&fds[8]).unwrap();
            set.poll(NOW).unwrap();
        })
        .join();
        assert_eq!(entries(instance), before);
        drop(waiting);
        assert_ne!(entries(instance), before);
    });
}

#[test]
fn changes_in_parent_do_not_affect_instance_of_child() {
    in_own_process(|| {
        let fds = half_ready_counters(30);
        let set = polled_set(&fds);
        let before = assert_matches_kernel(&set);
        let (changed, signal_change) = kinds::pipe();
        let child = Child::run(|| {
            assert_eq!(set.poll(NOW).unwrap(), before);
            polled_set([&changed]).poll(LONG).unwrap();
            for _ in 0..3 {
                assert_eq!(set.poll(NOW).unwrap(), before);
            }
        });
        for fd in &fds {
            set.unregister(fd).unwrap();
        }
        assert_eq!(set.poll(NOW).unwrap(), []);
        signal_change.write(b"changed").unwrap();
        child.join();
        assert_eq!(set.poll(NOW).unwrap(), []);
    });
}

#[test]
fn unregister_in_child_before_its_first_wait_does_not_affect_parent() {
    in_own_process(|| {
        let fds = event_counters(30, 1);
        let set = polled_set(&fds);
        Child::run(|| fds.iter().for_each(|fd| set.unregister(fd).unwrap())).join();
        assert_eq!(set.poll(NOW).unwrap().len(), 30);
        assert_eq!(set.stats().replaced, 0);
    });
}

#[test]
fn each_generation_of_children_has_its_own_instance() {
    fn descend(set: &PollSet, generations: usize) {
        let own = kinds::eventfd(1);
        set.register(&own, PollFlags::IN).unwrap();
        let before = assert_matches_kernel(set);
        if generations > 0 {
            Child::run(|| descend(set, generations - 1)).join();
        }
        assert_eq!(assert_matches_kernel(set), before);
        set.unregister(&own).unwrap();
        assert_eq!(assert_matches_kernel(set).len(), before.len() - 1);
    }
    in_own_process(|| descend(&epoll_set(), 10));
}

/// As daemons do.
fn close_all_from_3() {
    // SAFETY: the owners of the descriptors are forgotten, or not used any more.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// Opens descriptors up to `number`.
fn open_up_to(number: RawFd, open: impl Fn() -> OwnedFd) -> Vec<OwnedFd> {
    let mut opened = vec![open()];
    while opened.last().unwrap().as_raw_fd() < number {
        opened.push(open());
    }
    opened
}

#[test]
fn daemon_that_closed_and_reused_all_fds_can_continue() {
    in_own_process(|| {
        let fds = owned_counters(20);
        let set = polled_set(&fds);
        let instance = instance_fd();
        let makers: [fn() -> OwnedFd; 3] = [
            || std::io::pipe().unwrap().0.into(),
            || std::fs::File::open("/dev/null").unwrap().into(),
            new_epoll,
        ];
        for make in makers {
            let child = Child::run(|| {
                let (set, fds) = (&set, &fds);
                close_all_from_3();
                let files = open_up_to(instance, make);
                for fd in fds {
                    set.unregister(fd).unwrap();
                }
                let new = owned_counters(30);
                for fd in &new {
                    set.register(fd, PollFlags::IN).unwrap();
                    assert_eq!(set.poll(NOW).unwrap(), []);
                }
                let ready = owned_counter(1);
                set.register(&ready, PollFlags::IN).unwrap();
                for _ in 0..3 {
                    assert_eq!(assert_matches_kernel(set), [event(&ready, PollFlags::IN)]);
                }
                let last = files.last().unwrap();
                assert_eq!(last.as_raw_fd(), instance);
                rustix::io::fcntl_getfd(last).unwrap();
                std::mem::forget((files, new, ready));
            });
            child.join();
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
    });
}

#[test]
fn set_dropped_in_daemon_closes_no_reused_fd() {
    in_own_process(|| {
        let fds = owned_counters(20);
        let mut set = Some(polled_set(&fds));
        let instance = instance_fd();
        Child::run(|| {
            close_all_from_3();
            let files = open_up_to(instance, new_epoll);
            drop(set.take());
            for file in &files {
                rustix::io::fcntl_getfd(file).unwrap();
            }
            assert_eq!(epoll_instances().len(), files.len());
            std::mem::forget(files);
        })
        .join();
        assert_eq!(set.unwrap().poll(NOW).unwrap(), []);
    });
}

#[test]
fn child_forked_during_wait_has_its_own_instance() {
    in_own_process(|| {
        let waker = Waker::new().unwrap();
        let fds = event_counters(30, 0);
        let set = polled_set(&fds);
        set.register(&waker, PollFlags::IN).unwrap();
        let events = while_waiting(&set, None, || {
            Child::run(|| {
                for fd in &fds[..25] {
                    set.unregister(fd).unwrap();
                }
                assert_eq!(set.poll(NOW).unwrap(), []);
                let ready = kinds::eventfd(1);
                set.register(&ready, PollFlags::IN).unwrap();
                for _ in 0..20 {
                    assert_eq!(assert_matches_kernel(&set), [event(&ready, PollFlags::IN)]);
                }
            })
            .join();
            waker.wake().unwrap();
        });
        assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
        waker.clear().unwrap();
        fds[3].increment();
        assert_eq!(assert_matches_kernel(&set), [event(&fds[3], PollFlags::IN)]);
        assert_eq!(set.stats().replaced, 0);
    });
}

#[test]
fn epoll_wait_continues_in_child_forked_in_its_callback() {
    in_own_process(|| {
        let fds = event_counters(30, 0);
        let set = polled_set(&fds);
        let alarm = Alarm::every(5 * MILLISECOND);
        let mut child = None;
        let mut is_child = false;
        let mut events = Vec::new();
        let outcome = set.poll_interruptible(&mut events, LONG, || {
            if child.is_none() && !is_child {
                match Side::fork() {
                    Side::Parent(forked) => child = Some(forked),
                    Side::Child => is_child = true,
                }
                if is_child {
                    // Applied to the instance of the child alone.
                    fds[..10].iter().for_each(|fd| set.unregister(fd).unwrap());
                } else {
                    fds[5].increment();
                }
                fds[20].increment();
            }
            ControlFlow::Continue(())
        });
        if is_child {
            run_and_exit_child(|| {
                assert!(outcome.unwrap() >= 1);
                assert_eq!(assert_matches_kernel(&set), [event(&fds[20], PollFlags::IN)]);
            });
        }
        assert!(outcome.unwrap() >= 1);
        child.unwrap().join();
        let expected = [event(&fds[5], PollFlags::IN), event(&fds[20], PollFlags::IN)];
        assert_eq!(set.poll(NOW).unwrap(), expected);
        assert_eq!(assert_matches_kernel(&set), expected);
        drop(alarm);
    });
}

#[test]
fn child_forked_between_steps_does_not_change_instance_of_parent() {
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let set = polled_set(&fds);
        let parent_instance = instance_fd();
        let mut waiting = set.start(300 * MILLISECOND).unwrap();
        run_short_steps(&mut waiting);
        Child::run(|| {
            let before = entries(parent_instance);
            let own = kinds::eventfd(1);
            replace_fd(fds[3].number(), &own);
            while waiting.step().unwrap() == Step::Unfinished {}
            assert_eq!(waiting.take_event(), Some(event(&fds[3], PollFlags::IN)));
            assert_eq!(entries(parent_instance), before);
        })
        .join();
        drop(waiting);
        assert_eq!(assert_matches_kernel(&set), []);
        assert_eq!((set.stats().refused, set.stats().replaced), (0, 0));
    });
}

#[test]
fn child_has_the_events_of_a_finished_wait() {
    in_own_process(|| {
        let fds = half_ready_counters(20);
        let set = polled_set(&fds);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(waiting.step().unwrap(), Step::Ready(10));
        Child::run(|| {
            assert_eq!(waiting.step().unwrap(), Step::Ready(10));
            assert_eq!(std::iter::from_fn(|| waiting.take_event()).count(), 10);
            drop(waiting);
            assert_eq!(assert_matches_kernel(&set).len(), 10);
        })
        .join();
    });
}

#[test]
fn audit_in_child_forked_in_callback_does_not_change_instance_of_parent() {
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let set = polled_set(&fds);
        let parent_instance = instance_fd();
        let before = entries(parent_instance);
        let alarm = Alarm::every(20 * MILLISECOND);
        let mut calls = 0..;
        let mut is_child = false;
        let mut events = Vec::new();
        let outcome = set.poll_interruptible(&mut events, LONG, || {
            if calls.next() == Some(0) {
                match Side::fork() {
                    Side::Parent(child) => {
                        child.join();
                        fds[7].increment();
                    }
                    Side::Child => {
                        is_child = true;
                        replace_fd(fds[3].number(), &kinds::eventfd(1));
                        // By now the audit of all entries is due.
                        std::thread::sleep(50 * MILLISECOND);
                    }
                }
            }
            ControlFlow::Continue(())
        });
        drop(alarm);
        if is_child {
            run_and_exit_child(|| {
                assert_eq!(outcome.unwrap(), 1);
                assert_eq!(events, [event(&fds[3], PollFlags::IN)]);
                assert_eq!(entries(parent_instance), before);
            });
        }
        assert_eq!(outcome.unwrap(), 1);
        assert_eq!((entries(parent_instance), set.stats().refused), (before, 0));
    });
}
