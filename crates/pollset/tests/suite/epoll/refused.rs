//! Where no epoll instance can be had, or not for everything.

use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::time::Duration;

use libc::{ENOMEM, ENOSPC, ENOSYS, EPERM, c_long};
use pollset::{Engine, PollFlags, PollSet};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::sandbox::{CONTROL, CREATE, WAIT, forbid, forbid_adding_from};
use super::{automatic, counters, instances, on_epoll};
use crate::util::fd::Fd;
use crate::util::oracle::assert_agrees;
use crate::util::process::{Child, alone};
use crate::util::signal::Alarm;
use crate::util::{LONG, NOW, event, kinds};

fn allow_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Opens files until there are no more numbers.
fn hoard() -> Vec<std::fs::File> {
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

#[test]
fn without_a_number_for_an_instance_a_set_works_and_gets_one_later() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
        let high = fds.iter().map(Fd::number).max().unwrap() as u64;
        let hoard = {
            allow_descriptors(64);
            hoard()
        };
        let set = on_epoll();
        for fd in &fds {
            set.register(fd, PollFlags::IN).unwrap();
        }
        for _ in 0..20 {
            assert_eq!(assert_agrees(&set).len(), 10);
        }
        assert_eq!(set.stats().last_engine, Some(Engine::Poll));
        assert!(set.stats().refused > 0);

        allow_descriptors(high + 1);
        for _ in 0..10_000 {
            assert_eq!(set.poll(NOW).unwrap().len(), 10);
            if set.stats().last_engine == Some(Engine::Epoll) {
                break;
            }
        }
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
        assert_eq!(assert_agrees(&set).len(), 10);
        drop(hoard);
        assert_eq!(instances().len(), 1);
    });
}

#[test]
fn without_a_number_for_another_instance_a_phantom_does_no_harm() {
    alone(|| {
        let mut fd = kinds::event_counter(1);
        let other = kinds::event_counter(0);
        let set = super::asked([&fd, &other]);
        let alive = fd.dup();
        allow_descriptors(64);
        let hoard = hoard();
        fd.close();
        set.unregister(&fd).unwrap();
        for _ in 0..20 {
            assert_eq!(set.poll(NOW).unwrap(), []);
            assert_eq!(set.poll(Duration::from_millis(2)).unwrap(), []);
        }
        other.increment();
        assert_eq!(assert_agrees(&set), [event(&other, PollFlags::IN)]);
        drop((hoard, alive));
    });
}

/// Everything that a program does with a set, with answers like the kernel's.
fn exercise(set: &PollSet, fds: &[Fd]) {
    for round in 0..6 {
        for (place, fd) in fds.iter().enumerate().skip(round).step_by(3) {
            let mask = if place % 2 == 0 { PollFlags::IN } else { PollFlags::OUT };
            fd.increment();
            set.modify(fd, mask).unwrap();
            assert_agrees(set);
        }
        let new = kinds::event_counter(1);
        set.register(&new, PollFlags::IN).unwrap();
        assert_agrees(set);
        let _alive = new.dup();
        set.unregister(&new).unwrap();
        drop(new);
        assert_agrees(set);
        let again = &fds[round];
        set.unregister(again).unwrap();
        assert_agrees(set);
        set.register(again, PollFlags::IN).unwrap();
        assert_agrees(set);
        for fd in fds {
            fd.drain();
            set.modify(fd, PollFlags::IN).unwrap();
        }
        assert_eq!(set.poll(NOW).unwrap(), []);
        for timeout in [Duration::from_micros(300), Duration::from_millis(2)] {
            let start = std::time::Instant::now();
            assert_eq!(set.poll(timeout).unwrap(), []);
            assert!(start.elapsed() >= timeout);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(2));
                fds[1].increment();
            });
            assert_eq!(set.poll(None).unwrap(), [event(&fds[1], PollFlags::IN)]);
        });
        fds[1].drain();
    }
}

fn twenty() -> Vec<Fd> {
    (0..20).map(|_| kinds::event_counter(0)).collect()
}

fn registered(set: PollSet, fds: &[Fd]) -> PollSet {
    for fd in fds {
        set.register(fd, PollFlags::IN).unwrap();
    }
    set
}

const SANDBOXES: [&[c_long]; 3] = [CREATE, CONTROL, WAIT];

/// In a child for each call, answered with each error.
fn in_each_sandbox(test: impl Fn(&dyn Fn())) {
    for calls in SANDBOXES {
        for errno in [EPERM, ENOSYS] {
            eprintln!("calls {calls:?} answer {errno}");
            Child::run(|| test(&|| forbid(calls, errno))).join();
        }
    }
}

#[test]
fn a_sandbox_that_was_there_from_the_start_changes_no_answer() {
    alone(|| {
        in_each_sandbox(|enter| {
            enter();
            let fds = twenty();
            exercise(&registered(on_epoll(), &fds), &fds);
        });
    });
}

#[test]
fn a_sandbox_entered_in_the_middle_changes_no_answer() {
    alone(|| {
        in_each_sandbox(|enter| {
            let fds = twenty();
            let set = registered(on_epoll(), &fds);
            exercise(&set, &fds);
            assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
            enter();
            exercise(&set, &fds);
            drop(set);
            assert_eq!(instances(), []);
        });
    });
}

#[test]
fn a_sandbox_without_random_numbers_changes_no_answer() {
    alone(|| {
        let fds = twenty();
        let set = registered(on_epoll(), &fds);
        forbid(&[libc::SYS_getrandom], EPERM);
        // A thread that has had none yet.
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(assert_agrees(&set), []));
        });
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn a_sandbox_changes_no_answer_of_a_set_that_chooses_itself() {
    alone(|| {
        in_each_sandbox(|enter| {
            let fds: Vec<_> = (0..300).map(|_| kinds::event_counter(0)).collect();
            let set = registered(automatic(), &fds);
            for _ in 0..1_000 {
                assert_eq!(set.poll(NOW).unwrap(), []);
            }
            assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
            enter();
            for fd in &fds[..30] {
                fd.increment();
                assert_agrees(&set);
                set.modify(fd, PollFlags::OUT).unwrap();
                assert_agrees(&set);
                set.unregister(fd).unwrap();
                assert_agrees(&set);
            }
        });
    });
}

#[test]
fn a_sandbox_entered_during_a_wait_does_not_keep_it_from_ending() {
    alone(|| {
        in_each_sandbox(|enter| {
            let fds = twenty();
            let set = registered(on_epoll(), &fds);
            set.poll(NOW).unwrap();
            let alarm = Alarm::every(Duration::from_millis(2));
            let mut is_inside = false;
            let mut events = Vec::new();
            set.poll_interruptible(&mut events, LONG, || {
                if !is_inside {
                    enter();
                    fds[3].increment();
                    is_inside = true;
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
fn without_room_for_any_watch_a_set_works() {
    alone(|| {
        for errno in [ENOSPC, ENOMEM] {
            Child::run(|| {
                forbid_adding_from(0, errno);
                let fds = twenty();
                let set = registered(on_epoll(), &fds);
                exercise(&set, &fds);
                assert!(set.stats().refused > 0);
                assert_eq!(set.stats().last_engine, Some(Engine::Poll));
            })
            .join();
        }
    });
}

#[test]
fn without_room_for_all_watches_a_set_works() {
    alone(|| {
        for errno in [ENOSPC, ENOMEM] {
            Child::run(|| {
                let fds = twenty();
                let middle = fds[10].number();
                forbid_adding_from(middle, errno);
                let set = registered(on_epoll(), &fds);
                exercise(&set, &fds);
                assert!(set.stats().refused > 0);
                assert_eq!(instances(), []);
            })
            .join();
        }
    });
}

#[test]
fn where_the_room_ends_in_the_middle_no_answer_changes_and_it_is_tried_again() {
    alone(|| {
        for errno in [ENOSPC, ENOMEM] {
            Child::run(|| {
                let low = counters(20);
                let set = on_epoll();
                for fd in &low {
                    set.register(fd, PollFlags::IN).unwrap();
                }
                assert_eq!(set.poll(NOW).unwrap(), []);
                assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
                // The numbers of `Fd` are higher than those.
                let high = kinds::event_counter(1);
                assert!(low.iter().all(|fd| fd.as_raw_fd() < high.number()));
                forbid_adding_from(high.number(), errno);
                set.register(&high, PollFlags::IN).unwrap();
                for _ in 0..20 {
                    assert_eq!(assert_agrees(&set), [event(&high, PollFlags::IN)]);
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
