//! Which engine a set chooses that chooses itself.

use std::os::fd::{AsRawFd, OwnedFd};

use allocation_counter::measure;
use pollset::{Engine, Event, PollFlags, PollSet, Step};

use super::{automatic, counters, instances};
use crate::util::process::alone;
use crate::util::{NOW, event, kinds};

fn registered(fds: &[OwnedFd]) -> PollSet {
    let set = automatic();
    for fd in fds {
        set.register(fd, PollFlags::IN).unwrap();
    }
    set
}

/// Asks until the last wait was on `engine`.
#[track_caller]
fn comes_to_use(set: &PollSet, engine: Engine) {
    for _ in 0..10_000 {
        set.poll(NOW).unwrap();
        if set.stats().last_engine == Some(engine) {
            return;
        }
    }
    panic!("never on {engine:?}: {:?}", set.stats());
}

#[test]
fn a_small_set_never_opens_an_instance() {
    alone(|| {
        let fds = counters(8);
        let set = registered(&fds);
        for _ in 0..20_000 {
            set.poll(NOW).unwrap();
        }
        assert_eq!(instances(), []);
        assert_eq!(set.stats().epoll_waits, 0);
        assert_eq!(set.stats().poll_waits, 20_000);
    });
}

#[test]
fn a_large_set_opens_one_only_when_it_has_been_asked_often() {
    alone(|| {
        let fds = counters(1_000);
        let set = registered(&fds);
        for _ in 0..5 {
            set.poll(NOW).unwrap();
        }
        assert_eq!(instances(), []);
        comes_to_use(&set, Engine::Epoll);
        assert_eq!(instances().len(), 1);
        drop(set);
        assert_eq!(instances(), []);
    });
}

#[test]
fn large_sets_that_are_asked_once_and_dropped_never_open_one() {
    alone(|| {
        let fds = counters(1_000);
        for _ in 0..100 {
            let set = registered(&fds);
            set.poll(NOW).unwrap();
            assert_eq!(set.stats().epoll_waits, 0);
            assert_eq!(instances(), []);
        }
    });
}

#[test]
fn a_set_goes_to_poll_when_most_is_ready_and_back_when_it_is_idle() {
    alone(|| {
        let fds = counters(1_000);
        let set = registered(&fds);
        comes_to_use(&set, Engine::Epoll);
        for _ in 0..3 {
            for fd in &fds[..700] {
                rustix::io::write(fd, &1_u64.to_ne_bytes()).unwrap();
            }
            comes_to_use(&set, Engine::Poll);
            for _ in 0..10 {
                assert_eq!(set.poll(NOW).unwrap().len(), 700);
                assert_eq!(set.stats().last_engine, Some(Engine::Poll));
            }
            for fd in &fds[..700] {
                rustix::io::read(fd, &mut [0; 8]).unwrap();
            }
            comes_to_use(&set, Engine::Epoll);
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        assert_eq!(instances().len(), 1);
    });
}

#[test]
fn a_set_on_poll_forgets_nothing_that_epoll_must_know() {
    alone(|| {
        let mut fds = counters(1_000);
        let set = registered(&fds);
        let (socket, _peer) = kinds::socket_pair();
        comes_to_use(&set, Engine::Epoll);
        for fd in &fds[..700] {
            rustix::io::write(fd, &1_u64.to_ne_bytes()).unwrap();
        }
        comes_to_use(&set, Engine::Poll);
        set.register(&socket, PollFlags::OUT).unwrap();
        for fd in fds.drain(..690) {
            set.unregister(&fd).unwrap();
        }
        comes_to_use(&set, Engine::Epoll);
        let events = set.poll(NOW).unwrap();
        assert_eq!(events.len(), 11);
        assert_eq!(events[10].fd, socket.number());
    });
}

#[test]
fn a_set_that_has_become_small_is_on_poll() {
    alone(|| {
        let mut fds = counters(100);
        let set = registered(&fds);
        comes_to_use(&set, Engine::Epoll);
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
fn an_instance_bought_later_watches_for_what_needs_not_be_asked_for() {
    alone(|| {
        let fds = counters(100);
        let (reader, writer) = kinds::pipe();
        let set = automatic();
        set.register(&reader, PollFlags::empty()).unwrap();
        for fd in &fds {
            set.register(fd, PollFlags::IN).unwrap();
        }
        comes_to_use(&set, Engine::Epoll);
        drop(writer);
        assert_eq!(set.poll(NOW).unwrap(), [event(&reader, PollFlags::HUP)]);
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn a_set_of_what_only_poll_can_answer_stays_on_poll() {
    alone(|| {
        let fds = counters(300);
        let set = automatic();
        for fd in &fds {
            set.register(fd, PollFlags::RDNORM).unwrap();
        }
        for _ in 0..1_000 {
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        // One to find out.
        assert!(set.stats().epoll_waits <= 1, "{:?}", set.stats());
    });
}

#[test]
fn what_comes_and_goes_while_a_set_is_on_poll_takes_no_memory() {
    alone(|| {
        let fds = counters(16);
        let set = registered(&fds);
        comes_to_use(&set, Engine::Epoll);
        for fd in &fds[..12] {
            rustix::io::write(fd, &1_u64.to_ne_bytes()).unwrap();
        }
        comes_to_use(&set, Engine::Poll);
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
fn a_set_on_poll_says_what_that_answers_although_it_has_an_instance() {
    alone(|| {
        let fds = counters(200);
        let set = registered(&fds);
        comes_to_use(&set, Engine::Epoll);
        for fd in &fds[..60] {
            rustix::io::write(fd, &1_u64.to_ne_bytes()).unwrap();
        }
        comes_to_use(&set, Engine::Poll);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
        assert!(!waiting.is_short(), "it asks about 200");
        assert_eq!(waiting.step().unwrap(), Step::Ready(60));
        assert_eq!(std::iter::from_fn(|| waiting.take_event()).count(), 60);
    });
}
