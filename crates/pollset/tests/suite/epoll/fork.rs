//! Forked children of a process that has a set on epoll.

use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use pollset::{PollFlags, Step, Waker};

use super::{asked, counter, counters, instance, instances, new_epoll, on_epoll, watched};
use crate::util::oracle::assert_agrees;
use crate::util::process::{Child, Side, alone, end_with};
use crate::util::signal::Alarm;
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, kinds};

#[test]
fn what_the_child_changes_is_not_seen_in_the_parent() {
    alone(|| {
        let fds: Vec<_> = (0..30).map(|i| kinds::event_counter(i % 2)).collect();
        let set = asked(&fds);
        let before = assert_agrees(&set);
        Child::run(|| {
            assert_eq!(assert_agrees(&set), before);
            for fd in &fds[..20] {
                set.unregister(fd).unwrap();
            }
            set.modify(&fds[20], PollFlags::OUT).unwrap();
            let own = kinds::event_counter(1);
            set.register(&own, PollFlags::IN).unwrap();
            assert_eq!(assert_agrees(&set).len(), 7);
        })
        .join();
        for _ in 0..3 {
            assert_eq!(set.poll(NOW).unwrap(), before);
        }
        assert_eq!(assert_agrees(&set), before);
        assert_eq!(set.stats().replaced, 0);
    });
}

#[test]
fn what_the_parent_changes_is_not_seen_in_the_child() {
    alone(|| {
        let fds: Vec<_> = (0..30).map(|i| kinds::event_counter(i % 2)).collect();
        let set = asked(&fds);
        let before = assert_agrees(&set);
        let (go, changed) = kinds::pipe();
        let child = Child::run(|| {
            assert_eq!(set.poll(NOW).unwrap(), before);
            asked([&go]).poll(LONG).unwrap();
            for _ in 0..3 {
                assert_eq!(set.poll(NOW).unwrap(), before);
            }
        });
        for fd in &fds {
            set.unregister(fd).unwrap();
        }
        assert_eq!(set.poll(NOW).unwrap(), []);
        changed.write(b"go").unwrap();
        child.join();
        assert_eq!(set.poll(NOW).unwrap(), []);
    });
}

#[test]
fn a_child_that_unregisters_before_it_waits_takes_nothing_from_its_parent() {
    alone(|| {
        let fds: Vec<_> = (0..30).map(|_| kinds::event_counter(1)).collect();
        let set = asked(&fds);
        Child::run(|| fds.iter().for_each(|fd| set.unregister(fd).unwrap())).join();
        assert_eq!(set.poll(NOW).unwrap().len(), 30);
        assert_eq!(set.stats().replaced, 0);
    });
}

#[test]
fn generations_of_children_each_have_their_own() {
    fn descend(set: &pollset::PollSet, generations: usize) {
        let own = kinds::event_counter(1);
        set.register(&own, PollFlags::IN).unwrap();
        let before = assert_agrees(set);
        if generations > 0 {
            Child::run(|| descend(set, generations - 1)).join();
        }
        assert_eq!(assert_agrees(set), before);
        set.unregister(&own).unwrap();
        assert_eq!(assert_agrees(set).len(), before.len() - 1);
    }
    alone(|| descend(&on_epoll(), 10));
}

fn close_all_from_3() {
    // SAFETY: as a daemon does. What owned the numbers is forgotten, or left alone from here on.
    unsafe { libc::close_range(3, u32::MAX, 0) };
}

/// Opens `number` by filling up what is below it.
fn open_up_to(number: RawFd, open: impl Fn() -> OwnedFd) -> Vec<OwnedFd> {
    let mut opened = vec![open()];
    while opened.last().unwrap().as_raw_fd() < number {
        opened.push(open());
    }
    opened
}

#[test]
fn a_daemon_that_closed_all_and_reused_the_numbers_can_go_on() {
    alone(|| {
        let fds = counters(20);
        let set = asked(&fds);
        let own = instance();
        let makers: [fn() -> OwnedFd; 3] = [
            || std::io::pipe().unwrap().0.into(),
            || std::fs::File::open("/dev/null").unwrap().into(),
            new_epoll,
        ];
        for make in makers {
            let child = Child::run(|| {
                let (set, fds) = (&set, &fds);
                close_all_from_3();
                let strangers = open_up_to(own, make);
                for fd in fds {
                    set.unregister(fd).unwrap();
                }
                let new = counters(30);
                for fd in &new {
                    set.register(fd, PollFlags::IN).unwrap();
                    assert_eq!(set.poll(NOW).unwrap(), []);
                }
                let ready = counter(1);
                set.register(&ready, PollFlags::IN).unwrap();
                for _ in 0..3 {
                    assert_eq!(assert_agrees(set), [event(&ready, PollFlags::IN)]);
                }
                let last = strangers.last().unwrap();
                assert_eq!(last.as_raw_fd(), own);
                rustix::io::fcntl_getfd(last).unwrap();
                std::mem::forget((strangers, new, ready));
            });
            child.join();
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
    });
}

#[test]
fn a_daemon_that_drops_the_set_closes_nothing_of_its_own() {
    alone(|| {
        let fds = counters(20);
        let mut set = Some(asked(&fds));
        let own = instance();
        Child::run(|| {
            close_all_from_3();
            let strangers = open_up_to(own, new_epoll);
            drop(set.take());
            for stranger in &strangers {
                rustix::io::fcntl_getfd(stranger).unwrap();
            }
            assert_eq!(instances().len(), strangers.len());
            std::mem::forget(strangers);
        })
        .join();
        assert_eq!(set.unwrap().poll(NOW).unwrap(), []);
    });
}

#[test]
fn a_child_forked_while_another_thread_waits_has_its_own() {
    alone(|| {
        let waker = Waker::new().unwrap();
        let fds: Vec<_> = (0..30).map(|_| kinds::event_counter(0)).collect();
        let set = asked(&fds);
        set.register(&waker, PollFlags::IN).unwrap();
        let events = while_waiting(&set, None, || {
            Child::run(|| {
                for fd in &fds[..25] {
                    set.unregister(fd).unwrap();
                }
                assert_eq!(set.poll(NOW).unwrap(), []);
                let ready = kinds::event_counter(1);
                set.register(&ready, PollFlags::IN).unwrap();
                for _ in 0..20 {
                    assert_eq!(assert_agrees(&set), [event(&ready, PollFlags::IN)]);
                }
            })
            .join();
            waker.wake().unwrap();
        });
        assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
        waker.clear().unwrap();
        fds[3].increment();
        assert_eq!(assert_agrees(&set), [event(&fds[3], PollFlags::IN)]);
        assert_eq!(set.stats().replaced, 0);
    });
}

#[test]
fn a_wait_on_epoll_goes_on_in_the_child_forked_in_its_callback() {
    alone(|| {
        let fds: Vec<_> = (0..30).map(|_| kinds::event_counter(0)).collect();
        let set = asked(&fds);
        let alarm = Alarm::every(Duration::from_millis(5));
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
                    // Told to nobody's instance but the child's own.
                    fds[..10].iter().for_each(|fd| set.unregister(fd).unwrap());
                } else {
                    fds[5].increment();
                }
                fds[20].increment();
            }
            ControlFlow::Continue(())
        });
        if is_child {
            end_with(|| {
                assert!(outcome.unwrap() >= 1);
                assert_eq!(assert_agrees(&set), [event(&fds[20], PollFlags::IN)]);
            });
        }
        assert!(outcome.unwrap() >= 1);
        child.unwrap().join();
        let expected = [event(&fds[5], PollFlags::IN), event(&fds[20], PollFlags::IN)];
        assert_eq!(set.poll(NOW).unwrap(), expected);
        assert_eq!(assert_agrees(&set), expected);
        drop(alarm);
    });
}

#[test]
fn a_child_forked_between_steps_leaves_the_parents_instance_alone() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
        let set = asked(&fds);
        let parents = instance();
        let mut waiting = set.start(Duration::from_millis(300)).unwrap();
        while waiting.is_short() {
            assert_eq!(waiting.step().unwrap(), Step::Unfinished);
        }
        Child::run(|| {
            let before = watched(parents);
            let own = kinds::event_counter(1);
            put(&own, fds[3].number());
            while waiting.step().unwrap() == Step::Unfinished {}
            assert_eq!(waiting.take_event(), Some(event(&fds[3], PollFlags::IN)));
            assert_eq!(watched(parents), before);
        })
        .join();
        drop(waiting);
        assert_eq!(assert_agrees(&set), []);
        assert_eq!((set.stats().refused, set.stats().replaced), (0, 0));
    });
}

#[test]
fn a_child_has_the_answers_of_a_wait_that_was_over() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
        let set = asked(&fds);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(waiting.step().unwrap(), Step::Ready(10));
        Child::run(|| {
            assert_eq!(waiting.step().unwrap(), Step::Ready(10));
            assert_eq!(std::iter::from_fn(|| waiting.take_event()).count(), 10);
            drop(waiting);
            assert_eq!(assert_agrees(&set).len(), 10);
        })
        .join();
    });
}

#[test]
fn a_child_forked_in_a_callback_audits_none_of_its_parents() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
        let set = asked(&fds);
        let parents = instance();
        let before = watched(parents);
        let alarm = Alarm::every(Duration::from_millis(20));
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
                        put(&kinds::event_counter(1), fds[3].number());
                        // So that all are due.
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
            }
            ControlFlow::Continue(())
        });
        drop(alarm);
        if is_child {
            end_with(|| {
                assert_eq!(outcome.unwrap(), 1);
                assert_eq!(events, [event(&fds[3], PollFlags::IN)]);
                assert_eq!(watched(parents), before);
            });
        }
        assert_eq!(outcome.unwrap(), 1);
        assert_eq!((watched(parents), set.stats().refused), (before, 0));
    });
}

/// In a child, where nobody else has the number.
fn put(file: &impl AsRawFd, number: RawFd) {
    // SAFETY: it takes two numbers; the file that the second one meant is closed.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
}
