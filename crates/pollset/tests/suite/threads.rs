//! A set that several threads change, poll and wake.

use std::thread;
use std::time::Instant;

use pollset::{Event, PollFlags, PollSet, Timeout, Waker};

use crate::helpers::{MILLISECOND, event_counters};
use crate::util::oracle::assert_matches_kernel;
use crate::util::wait::{assert_concurrent_poll_error, while_waiting};
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds, set_of};

const _: () = {
    const fn assert_send_and_sync<T: Send + Sync>() {}
    assert_send_and_sync::<PollSet>();
    assert_send_and_sync::<Waker>();
    assert_send_and_sync::<Event>();
    assert_send_and_sync::<Timeout>();
};

fn set_with_waker() -> (PollSet, Waker) {
    let waker = Waker::new().unwrap();
    (set_of([&waker], PollFlags::IN), waker)
}

/// The events of a wait during which `changes` are made and that the waker ends after them.
fn wait_during(set: &PollSet, waker: &Waker, changes: impl FnOnce()) -> Vec<Event> {
    let events = while_waiting(set, LONG, || {
        changes();
        waker.wake().unwrap();
    });
    waker.clear().unwrap();
    events.unwrap()
}

#[test]
fn concurrent_poll_is_an_error() {
    let (set, waker) = set_with_waker();
    let events = wait_during(&set, &waker, || {
        let deadline = Instant::now();
        for timeout in [Some(NOW), Some(MILLISECOND), Some(LONG), None] {
            assert_concurrent_poll_error(set.poll(timeout));
        }
        assert_concurrent_poll_error(set.poll(deadline));
        assert_concurrent_poll_error(set.poll(deadline + LONG));
    });
    assert_eq!(events, [event(&waker, PollFlags::IN)]);
}

#[test]
fn set_can_be_polled_after_a_concurrent_poll_error() {
    let (set, waker) = set_with_waker();
    wait_during(&set, &waker, || assert_concurrent_poll_error(set.poll(NOW)));
    assert_eq!(set.poll(NOW).unwrap(), []);
    wait_during(&set, &waker, || assert_concurrent_poll_error(set.poll(None)));
}

#[test]
fn threads_can_poll_a_set_in_turn() {
    let fd = kinds::eventfd(1);
    let set = set_of([&fd], PollFlags::IN);
    for _ in 0..10 {
        thread::scope(|scope| {
            scope.spawn(|| assert_matches_kernel(&set));
        });
    }
}

#[test]
fn register_during_wait_takes_effect_at_next_wait() {
    let (set, waker) = set_with_waker();
    let ready = kinds::eventfd(1);
    let events = wait_during(&set, &waker, || {
        set.register(&ready, PollFlags::IN).unwrap();
        assert!(set.contains(&ready));
    });
    assert_eq!(events, [event(&waker, PollFlags::IN)]);
    assert_eq!(set.poll(NOW).unwrap(), [event(&ready, PollFlags::IN)]);
}

#[test]
fn modify_during_wait_takes_effect_at_next_wait() {
    let (set, waker) = set_with_waker();
    let (socket, _peer) = kinds::socket_pair();
    set.register(&socket, PollFlags::IN).unwrap();
    let events = wait_during(&set, &waker, || {
        set.modify(&socket, PollFlags::OUT).unwrap();
        assert_eq!(set.interest(&socket), Some(PollFlags::OUT));
    });
    assert_eq!(events, [event(&waker, PollFlags::IN)]);
    assert_eq!(set.poll(NOW).unwrap(), [event(&socket, PollFlags::OUT)]);
}

#[test]
fn unregister_during_wait_takes_effect_at_next_wait() {
    let (set, waker) = set_with_waker();
    let counter = kinds::eventfd(0);
    set.register(&counter, PollFlags::IN).unwrap();
    let events = while_waiting(&set, LONG, || {
        set.unregister(&counter).unwrap();
        assert_eq!(set.len(), 1);
        counter.increment();
    });
    assert_eq!(events.unwrap(), [event(&counter, PollFlags::IN)]);
    waker.wake().unwrap();
    assert_eq!(set.poll(NOW).unwrap(), [event(&waker, PollFlags::IN)]);
}

#[test]
fn changes_do_not_end_a_wait() {
    let (set, waker) = set_with_waker();
    let ready = kinds::eventfd(1);
    wait_during(&set, &waker, || {
        for _ in 0..100 {
            set.register(&ready, PollFlags::IN).unwrap();
            set.modify(&ready, PollFlags::OUT).unwrap();
            set.unregister(&ready).unwrap();
        }
        thread::sleep(5 * MILLISECOND);
        assert_concurrent_poll_error(set.poll(NOW));
    });
}

#[test]
fn thousands_of_changes_during_wait_take_effect_at_next_wait() {
    let (set, waker) = set_with_waker();
    let counters = event_counters(7, 0);
    for fd in &counters {
        set.register(fd, PollFlags::IN).unwrap();
    }
    for round in 1..5 {
        let events = while_waiting(&set, LONG, || {
            for i in 0..3_000 {
                set.register(NEVER_OPENED + i, PollFlags::OUT).unwrap();
            }
            for i in 0..3_000 - round {
                set.unregister(NEVER_OPENED + i).unwrap();
            }
            set.modify(&counters[0], PollFlags::OUT).unwrap();
            counters[3].increment();
        });
        assert_eq!(events.unwrap(), [event(&counters[3], PollFlags::IN)]);
        let events = assert_matches_kernel(&set);
        assert_eq!(events.len(), 2 + round as usize);

        counters[3].drain();
        set.modify(&counters[0], PollFlags::IN).unwrap();
        for i in 3_000 - round..3_000 {
            set.unregister(NEVER_OPENED + i).unwrap();
        }
        assert_eq!(assert_matches_kernel(&set), []);
    }
    assert_eq!(wait_during(&set, &waker, || {}), [event(&waker, PollFlags::IN)]);
}
