//! The engine that an automatic set chooses for its waits.

use std::os::fd::AsRawFd;

use allocation_counter::measure;
use pollset::{Builder, Engine, Event, PollFlags, PollSet, Step};

use super::{make_idle, make_ready, owned_counters};
use crate::helpers::set_with_engine;
use crate::util::open_fds::epoll_instances;
use crate::util::process::in_own_process;
use crate::util::{NOW, event, kinds};

/// Polls until the set uses `engine`. Thousands of waits pay for a trial that another process has
/// interrupted for milliseconds.
#[track_caller]
fn poll_until_on(set: &PollSet, engine: Engine) {
    for _ in 0..200_000 {
        set.poll(NOW).unwrap();
        if set.stats().last_engine == Some(engine) {
            return;
        }
    }
    panic!("never on {engine:?}: {:?}", set.stats());
}

#[test]
fn small_set_never_creates_an_instance() {
    in_own_process(|| {
        let fds = owned_counters(8);
        let set = set_with_engine(None, &fds);
        for _ in 0..20_000 {
            set.poll(NOW).unwrap();
        }
        assert_eq!(epoll_instances(), []);
        assert_eq!(set.stats().epoll_waits, 0);
        assert_eq!(set.stats().poll_waits, 20_000);
    });
}

#[test]
fn large_set_creates_an_instance_after_many_waits() {
    in_own_process(|| {
        let fds = owned_counters(1_000);
        // On a busy machine five waits may be as dear as many.
        let set_after_few_waits = || {
            let set = set_with_engine(None, &fds);
            (0..5).for_each(|_| drop(set.poll(NOW).unwrap()));
            epoll_instances().is_empty().then_some(set)
        };
        let set = (0..20).find_map(|_| set_after_few_waits()).expect("has no instance");
        poll_until_on(&set, Engine::Epoll);
        assert_eq!(epoll_instances().len(), 1);
        drop(set);
        assert_eq!(epoll_instances(), []);
    });
}

#[test]
fn large_sets_polled_once_never_create_an_instance() {
    in_own_process(|| {
        let fds = owned_counters(1_000);
        for _ in 0..100 {
            let set = set_with_engine(None, &fds);
            set.poll(NOW).unwrap();
            assert_eq!(set.stats().epoll_waits, 0);
            assert_eq!(epoll_instances(), []);
        }
    });
}

/// All, because with most of them ready the engines cost about the same on some machines.
#[test]
fn set_switches_to_poll_when_all_are_ready_and_back_when_idle() {
    in_own_process(|| {
        let fds = owned_counters(1_000);
        let set = set_with_engine(None, &fds);
        poll_until_on(&set, Engine::Epoll);
        for _ in 0..3 {
            make_ready(&fds);
            // The first waits on poll(2) may be a trial, long before the choice.
            for _ in 0..1_000 {
                set.poll(NOW).unwrap();
            }
            let before = set.stats().poll_waits;
            for _ in 0..200 {
                assert_eq!(set.poll(NOW).unwrap().len(), 1_000);
            }
            // The others are trials.
            assert!(set.stats().poll_waits - before > 150, "{:?}", set.stats());
            make_idle(&fds);
            poll_until_on(&set, Engine::Epoll);
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        assert_eq!(epoll_instances().len(), 1);
    });
}

#[test]
fn changes_made_while_on_poll_are_applied_to_epoll() {
    in_own_process(|| {
        let mut fds = owned_counters(1_000);
        let set = set_with_engine(None, &fds);
        let (socket, _peer) = kinds::socket_pair();
        poll_until_on(&set, Engine::Epoll);
        make_ready(&fds[..700]);
        poll_until_on(&set, Engine::Poll);
        set.register(&socket, PollFlags::OUT).unwrap();
        for fd in fds.drain(..690) {
            set.unregister(&fd).unwrap();
        }
        poll_until_on(&set, Engine::Epoll);
        let events = set.poll(NOW).unwrap();
        assert_eq!(events.len(), 11);
        assert_eq!(events[10].fd, socket.number());
    });
}

#[test]
fn set_that_has_become_small_is_on_poll() {
    in_own_process(|| {
        let mut fds = owned_counters(100);
        let set = set_with_engine(None, &fds);
        poll_until_on(&set, Engine::Epoll);
        for fd in fds.drain(8..) {
            set.unregister(&fd).unwrap();
        }
        let closed = fds.remove(4);
        let number = closed.as_raw_fd();
        drop(closed);
        let events = set.poll(NOW).unwrap();
        assert_eq!(events, [Event { fd: number, revents: PollFlags::NVAL }]);
        assert_eq!(set.stats().last_engine, Some(Engine::Poll));
    });
}

#[test]
fn instance_created_later_reports_hup_of_an_empty_mask() {
    in_own_process(|| {
        let fds = owned_counters(100);
        let (reader, writer) = kinds::pipe();
        let set = Builder::new().engine(None).build();
        set.register(&reader, PollFlags::empty()).unwrap();
        for fd in &fds {
            set.register(fd, PollFlags::IN).unwrap();
        }
        poll_until_on(&set, Engine::Epoll);
        drop(writer);
        assert_eq!(set.poll(NOW).unwrap(), [event(&reader, PollFlags::HUP)]);
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn set_of_fallback_descriptors_stays_on_poll() {
    in_own_process(|| {
        let fds = owned_counters(300);
        let set = Builder::new().engine(None).build();
        for fd in &fds {
            set.register(fd, PollFlags::RDNORM).unwrap();
        }
        for _ in 0..1_000 {
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        // There may be a trial.
        assert!(set.stats().epoll_waits <= 3, "{:?}", set.stats());
    });
}

#[test]
fn churn_while_on_poll_uses_bounded_memory() {
    in_own_process(|| {
        let fds = owned_counters(16);
        let set = set_with_engine(None, &fds);
        poll_until_on(&set, Engine::Epoll);
        make_ready(&fds[..12]);
        poll_until_on(&set, Engine::Poll);
        let cost = measure(|| {
            for _ in 0..10_000 {
                set.unregister(&fds[15]).unwrap();
                set.register(&fds[15], PollFlags::IN).unwrap();
                assert_eq!(set.poll(NOW).unwrap().len(), 12);
            }
        });
        assert_eq!(set.stats().last_engine, Some(Engine::Poll));
        assert!(cost.bytes_max < 10_000, "{cost:?}");
    });
}

#[test]
fn set_on_poll_with_an_instance_reports_the_events_of_poll() {
    in_own_process(|| {
        let fds = owned_counters(200);
        let set = set_with_engine(None, &fds);
        poll_until_on(&set, Engine::Epoll);
        make_ready(&fds[..60]);
        poll_until_on(&set, Engine::Poll);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
        assert!(!waiting.is_short(), "it polls 200");
        assert_eq!(waiting.step().unwrap(), Step::Ready(60));
        assert_eq!(std::iter::from_fn(|| waiting.take_event()).count(), 60);
    });
}
