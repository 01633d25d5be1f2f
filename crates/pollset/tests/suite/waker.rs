//! Wakers: wake-ups are not lost, and last until they are cleared.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use pollset::{PollFlags, PollSet, Waker};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, set_of};

fn set_with_waker() -> (PollSet, Waker) {
    let waker = Waker::new().unwrap();
    (set_of([&waker], PollFlags::IN), waker)
}

#[track_caller]
fn assert_ready(set: &PollSet, waker: &Waker) {
    assert_eq!(set.poll(NOW).unwrap(), [event(waker, PollFlags::IN)]);
}

#[track_caller]
fn assert_idle(set: &PollSet) {
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn new_waker_is_not_ready() {
    let (set, _waker) = set_with_waker();
    assert_idle(&set);
}

#[test]
fn wake_before_the_wait_is_not_lost() {
    let (set, waker) = set_with_waker();
    waker.wake().unwrap();
    assert_eq!(set.poll(None).unwrap(), [event(&waker, PollFlags::IN)]);
}

#[test]
fn wake_before_the_registration_is_not_lost() {
    let waker = Waker::new().unwrap();
    waker.wake().unwrap();
    assert_ready(&set_of([&waker], PollFlags::IN), &waker);
}

#[test]
fn wake_from_another_thread_ends_the_wait() {
    let (set, waker) = set_with_waker();
    let events = while_waiting(&set, LONG, || waker.wake().unwrap());
    assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
}

#[test]
fn waker_stays_ready_until_cleared() {
    let (set, waker) = set_with_waker();
    waker.wake().unwrap();
    for _ in 0..5 {
        assert_ready(&set, &waker);
    }
    waker.clear().unwrap();
    assert_idle(&set);
}

#[test]
fn one_clear_resets_any_number_of_wakes() {
    let (set, waker) = set_with_waker();
    // Around buffer sizes, and more than the capacity of a pipe.
    for count in [2, 511, 512, 513, 1_024, 70_000] {
        for _ in 0..count {
            waker.wake().unwrap();
        }
        assert_ready(&set, &waker);
        waker.clear().unwrap();
        assert_idle(&set);
    }
}

#[test]
fn clear_without_a_wake_does_nothing() {
    let (set, waker) = set_with_waker();
    waker.clear().unwrap();
    waker.clear().unwrap();
    assert_idle(&set);
    waker.wake().unwrap();
    assert_ready(&set, &waker);
}

#[test]
fn waker_can_be_reused() {
    let (set, waker) = set_with_waker();
    for _ in 0..1_000 {
        waker.wake().unwrap();
        assert_ready(&set, &waker);
        waker.clear().unwrap();
        assert_idle(&set);
    }
}

#[test]
fn one_waker_can_wake_several_sets() {
    let (set, waker) = set_with_waker();
    let other = set_of([&waker], PollFlags::IN);
    waker.wake().unwrap();
    assert_ready(&set, &waker);
    assert_ready(&other, &waker);
}

#[test]
fn two_threads_waking_each_other_do_not_deadlock() {
    let (ping_set, ping) = set_with_waker();
    let (pong_set, pong) = set_with_waker();
    let take_turns = |set: &PollSet, own: &Waker, other: &Waker| {
        for _ in 0..5_000 {
            assert_eq!(set.poll(LONG).unwrap(), [event(own, PollFlags::IN)]);
            own.clear().unwrap();
            other.wake().unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| take_turns(&ping_set, &ping, &pong));
        ping.wake().unwrap();
        take_turns(&pong_set, &pong, &ping);
    });
}

#[test]
fn writes_before_wake_are_visible_after_clear() {
    const WAKES: u32 = 20_000;
    let (set, waker) = set_with_waker();
    let work = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..WAKES {
                work.fetch_add(1, Ordering::Relaxed);
                waker.wake().unwrap();
            }
        });
        while work.load(Ordering::Relaxed) < WAKES {
            assert_eq!(set.poll(LONG).unwrap().len(), 1, "a wake was lost");
            waker.clear().unwrap();
        }
    });
}

#[test]
fn waker_is_cloexec_and_nonblocking() {
    let waker = Waker::new().unwrap();
    assert!(fcntl_getfd(&waker).unwrap().contains(FdFlags::CLOEXEC));
    assert!(fcntl_getfl(&waker).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn debug_shows_the_fd() {
    let waker = Waker::new().unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&waker);
    assert_eq!(format!("{waker:?}"), format!("Waker {{ fd: {number} }}"));
}
