//! Sets in forked children, which inherit a copy.

use std::ops::ControlFlow;

use pollset::{PollFlags, PollSet, Waker};

use crate::helpers::{MILLISECOND, event_counters};
use crate::util::oracle::assert_matches_kernel;
use crate::util::process::{Child, Side, in_own_process, run_and_exit_child};
use crate::util::signal::Alarm;
use crate::util::wait::{assert_concurrent_poll_error, while_waiting};
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds, new_set, set_of, set_of_never_opened};

#[test]
fn child_inherits_registrations() {
    in_own_process(|| {
        for size in [0, 1, 8, 9, 100] {
            let set = set_of_never_opened(size);
            let before: Vec<_> = set.iter().collect();
            let child = Child::run(|| {
                assert!(set.iter().eq(before));
                assert_eq!(assert_matches_kernel(&set).len(), size as usize);
            });
            child.join();
        }
    });
}

#[test]
fn changes_in_child_do_not_affect_parent() {
    in_own_process(|| {
        for polled_before in [false, true] {
            let set = set_of_never_opened(20);
            if polled_before {
                assert_matches_kernel(&set);
            }
            let before: Vec<_> = set.iter().collect();
            let child = Child::run(|| {
                for i in 0..15 {
                    set.unregister(NEVER_OPENED + i).unwrap();
                }
                set.register(i32::MAX, PollFlags::OUT).unwrap();
                assert_eq!(assert_matches_kernel(&set).len(), 6);
            });
            child.join();
            assert!(set.iter().eq(before));
            assert_eq!(assert_matches_kernel(&set).len(), 20);
        }
    });
}

#[test]
fn changes_in_parent_do_not_affect_child() {
    in_own_process(|| {
        let set = set_of_never_opened(20);
        let (changed, signal_change) = kinds::pipe();
        let child = Child::run(|| {
            let parent = set_of([&changed], PollFlags::IN);
            assert_eq!(parent.poll(LONG).unwrap(), [event(&changed, PollFlags::IN)]);
            assert_eq!(assert_matches_kernel(&set).len(), 20);
        });
        for i in 0..20 {
            set.unregister(NEVER_OPENED + i).unwrap();
        }
        assert_eq!(assert_matches_kernel(&set), []);
        signal_change.write(b"changed").unwrap();
        child.join();
    });
}

#[test]
fn changes_pending_at_fork_apply_in_parent_and_child() {
    in_own_process(|| {
        let set = set_of_never_opened(20);
        assert_matches_kernel(&set);
        set.unregister(NEVER_OPENED).unwrap();
        set.modify(NEVER_OPENED + 1, PollFlags::OUT).unwrap();
        set.register(i32::MAX, PollFlags::OUT).unwrap();
        Child::run(|| assert_eq!(assert_matches_kernel(&set).len(), 20)).join();
        assert_eq!(assert_matches_kernel(&set).len(), 20);
    });
}

#[test]
fn child_forked_during_wait_can_poll() {
    in_own_process(|| {
        let waker = Waker::new().unwrap();
        let fds = event_counters(12, 0);
        let set = set_of(&fds, PollFlags::IN);
        set.register(&waker, PollFlags::IN).unwrap();
        let events = while_waiting(&set, LONG, || {
            let child = Child::run(|| {
                let open = kinds::eventfd(1);
                for count in 0..50 {
                    assert_eq!(set.len(), 13 + usize::from(count > 0));
                    set.register(&open, PollFlags::IN).unwrap();
                    assert_eq!(assert_matches_kernel(&set), [event(&open, PollFlags::IN)]);
                }
            });
            child.join();
            assert_concurrent_poll_error(set.poll(NOW));
            waker.wake().unwrap();
        });
        assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
    });
}

#[test]
fn child_forked_during_wait_polls_inherited_registrations() {
    in_own_process(|| {
        let waker = Waker::new().unwrap();
        for size in [1, 7, 8, 30] {
            let mut fds = event_counters(size, 0);
            let set = set_of(&fds, PollFlags::IN);
            set.register(&waker, PollFlags::IN).unwrap();
            let events = while_waiting(&set, LONG, || {
                let child = Child::run(|| {
                    fds[size / 2].close();
                    let expected = [event(&fds[size / 2], PollFlags::NVAL)];
                    assert_eq!(assert_matches_kernel(&set), expected);
                });
                child.join();
                waker.wake().unwrap();
            });
            assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
            waker.clear().unwrap();
        }
    });
}

#[test]
fn concurrent_poll_in_child_forked_during_wait_is_an_error() {
    in_own_process(|| {
        let waker = Waker::new().unwrap();
        let set = set_of([&waker], PollFlags::IN);
        let events = while_waiting(&set, LONG, || {
            let child = Child::run(|| {
                // A separate waker: the parent polls the inherited one.
                let waker = Waker::new().unwrap();
                set.register(&waker, PollFlags::IN).unwrap();
                let events = while_waiting(&set, LONG, || {
                    assert_concurrent_poll_error(set.poll(NOW));
                    waker.wake().unwrap();
                });
                assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
            });
            child.join();
            waker.wake().unwrap();
        });
        assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
    });
}

#[test]
fn child_forked_during_wait_has_changes_made_during_it() {
    in_own_process(|| {
        let waker = Waker::new().unwrap();
        let set = set_of_never_opened(0);
        set.register(&waker, PollFlags::IN).unwrap();
        let events = while_waiting(&set, LONG, || {
            for i in 0..30 {
                set.register(NEVER_OPENED + i, PollFlags::IN).unwrap();
            }
            set.unregister(NEVER_OPENED + 3).unwrap();
            Child::run(|| assert_eq!(assert_matches_kernel(&set).len(), 29)).join();
            waker.wake().unwrap();
        });
        assert_eq!(events.unwrap().len(), 1);
        assert_eq!(assert_matches_kernel(&set).len(), 30);
    });
}

#[test]
fn child_forked_in_callback_can_poll_in_and_after_it() {
    in_own_process(|| {
        let counter = kinds::eventfd(0);
        let set = set_of([&counter], PollFlags::IN);
        for polls_in_callback in [false, true] {
            let _alarm = Alarm::every(MILLISECOND);
            let mut child = None;
            let mut is_child = false;
            let outcome = set.poll_interruptible(&mut Vec::new(), LONG, || {
                match Side::fork() {
                    Side::Parent(forked) => child = Some(forked),
                    Side::Child => is_child = true,
                }
                if is_child && polls_in_callback {
                    let ready = kinds::eventfd(1);
                    set.register(&ready, PollFlags::IN).unwrap();
                    for _ in 0..3 {
                        assert_eq!(assert_matches_kernel(&set), [event(&ready, PollFlags::IN)]);
                    }
                    set.unregister(&ready).unwrap();
                }
                ControlFlow::Break(())
            });
            let check = || {
                assert_eq!(outcome.unwrap_err().kind(), std::io::ErrorKind::Interrupted);
                for _ in 0..3 {
                    assert!(set.iter().eq([(counter.number(), PollFlags::IN)]));
                    assert_eq!(assert_matches_kernel(&set), []);
                    set.register(NEVER_OPENED, PollFlags::IN).unwrap();
                    assert_eq!(assert_matches_kernel(&set).len(), 1);
                    set.unregister(NEVER_OPENED).unwrap();
                }
            };
            if is_child {
                run_and_exit_child(check);
            }
            child.unwrap().join();
            check();
        }
    });
}

#[test]
fn wait_continues_in_child_forked_in_its_callback() {
    in_own_process(|| {
        let counter = kinds::eventfd(0);
        let set = set_of([&counter], PollFlags::IN);
        let alarm = Alarm::every(MILLISECOND);
        let mut child = None;
        let mut is_child = false;
        let outcome = set.poll_interruptible(&mut Vec::new(), LONG, || {
            if child.is_none() && !is_child {
                match Side::fork() {
                    Side::Parent(forked) => child = Some(forked),
                    Side::Child => is_child = true,
                }
            }
            counter.increment();
            ControlFlow::Continue(())
        });
        let check = || {
            assert_eq!(outcome.unwrap(), 1);
            assert_eq!(set.poll(NOW).unwrap(), [event(&counter, PollFlags::IN)]);
        };
        if is_child {
            run_and_exit_child(check);
        }
        child.unwrap().join();
        check();
        drop(alarm);
    });
}

#[test]
fn hundred_concurrent_children_are_isolated_from_each_other_and_the_parent() {
    in_own_process(|| {
        let fds: Vec<_> = (0..40).map(|i| kinds::eventfd(u32::from(i % 4 == 0))).collect();
        let set = set_of(&fds, PollFlags::IN);
        assert_eq!(assert_matches_kernel(&set).len(), 10);
        let children: Vec<_> = (0..100)
            .map(|i| {
                Child::run(|| {
                    for round in 0..20 {
                        let fd = &fds[(i + round) % 40];
                        set.modify(fd, PollFlags::OUT).unwrap();
                        assert_matches_kernel(&set);
                        set.unregister(fd).unwrap();
                        assert_matches_kernel(&set);
                        set.register(fd, PollFlags::IN).unwrap();
                        assert_matches_kernel(&set);
                    }
                })
            })
            .collect();
        for _ in 0..200 {
            assert_eq!(assert_matches_kernel(&set).len(), 10);
        }
        children.into_iter().for_each(Child::join);
        assert_eq!(assert_matches_kernel(&set).len(), 10);
    });
}

fn descend(set: &PollSet, generations: i32) {
    set.register(NEVER_OPENED + generations, PollFlags::IN).unwrap();
    let before = assert_matches_kernel(set).len();
    if generations > 0 {
        Child::run(|| descend(set, generations - 1)).join();
    }
    assert_eq!(assert_matches_kernel(set).len(), before);
}

#[test]
fn twenty_generations_of_children_can_poll() {
    in_own_process(|| descend(&new_set(), 20));
}

#[test]
fn twenty_generations_each_forked_during_a_wait_can_poll() {
    fn descend_waiting(set: &PollSet, generations: i32) {
        let counter = kinds::eventfd(0);
        set.register(&counter, PollFlags::IN).unwrap();
        let events = while_waiting(set, LONG, || {
            if generations > 0 {
                Child::run(|| descend_waiting(set, generations - 1)).join();
            }
            counter.increment();
        });
        assert_eq!(events.unwrap(), [event(&counter, PollFlags::IN)]);
        set.unregister(&counter).unwrap();
    }
    in_own_process(|| descend_waiting(&new_set(), 20));
}

#[test]
fn set_dropped_in_child_stays_usable_in_parent() {
    in_own_process(|| {
        let waker = Waker::new().unwrap();
        let mut set = Some(set_of([&waker], PollFlags::IN));
        assert_matches_kernel(set.as_ref().unwrap());
        Child::run(|| drop(set.take())).join();
        let set = set.unwrap();
        waker.wake().unwrap();
        assert_eq!(assert_matches_kernel(&set), [event(&waker, PollFlags::IN)]);
    });
}

#[test]
fn waker_in_child_wakes_parent() {
    in_own_process(|| {
        let waker = Waker::new().unwrap();
        let set = set_of([&waker], PollFlags::IN);
        let child = Child::run(|| waker.wake().unwrap());
        assert_eq!(set.poll(LONG).unwrap(), [event(&waker, PollFlags::IN)]);
        child.join();
    });
}
