//! Wakers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use pollset::{PollFlags, PollSet, Waker};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, set_of};

fn watched() -> (PollSet, Waker) {
    let waker = Waker::new().unwrap();
    (set_of([&waker], PollFlags::IN), waker)
}

#[track_caller]
fn assert_awake(set: &PollSet, waker: &Waker) {
    assert_eq!(set.poll(NOW).unwrap(), [event(waker, PollFlags::IN)]);
}

#[track_caller]
fn assert_asleep(set: &PollSet) {
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn a_new_waker_has_nothing_to_report() {
    let (set, _waker) = watched();
    assert_asleep(&set);
}

#[test]
fn a_wake_before_the_wait_is_not_lost() {
    let (set, waker) = watched();
    waker.wake().unwrap();
    assert_eq!(set.poll(None).unwrap(), [event(&waker, PollFlags::IN)]);
}

#[test]
fn a_wake_before_the_registration_is_not_lost() {
    let waker = Waker::new().unwrap();
    waker.wake().unwrap();
    assert_awake(&set_of([&waker], PollFlags::IN), &waker);
}

#[test]
fn a_wake_from_another_thread_ends_a_wait() {
    let (set, waker) = watched();
    let events = while_waiting(&set, LONG, || waker.wake().unwrap());
    assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
}

#[test]
fn a_waker_stays_ready_until_it_is_cleared() {
    let (set, waker) = watched();
    waker.wake().unwrap();
    for _ in 0..5 {
        assert_awake(&set, &waker);
    }
    waker.clear().unwrap();
    assert_asleep(&set);
}

#[test]
fn one_clear_takes_any_number_of_wakes() {
    let (set, waker) = watched();
    // Around the sizes of buffers, and more than a pipe holds.
    for count in [2, 511, 512, 513, 1_024, 70_000] {
        for _ in 0..count {
            waker.wake().unwrap();
        }
        assert_awake(&set, &waker);
        waker.clear().unwrap();
        assert_asleep(&set);
    }
}

#[test]
fn clearing_without_a_wake_does_nothing() {
    let (set, waker) = watched();
    waker.clear().unwrap();
    waker.clear().unwrap();
    assert_asleep(&set);
    waker.wake().unwrap();
    assert_awake(&set, &waker);
}

#[test]
fn a_waker_can_be_used_again_and_again() {
    let (set, waker) = watched();
    for _ in 0..1_000 {
        waker.wake().unwrap();
        assert_awake(&set, &waker);
        waker.clear().unwrap();
        assert_asleep(&set);
    }
}

#[test]
fn one_waker_may_wake_several_sets() {
    let (set, waker) = watched();
    let other = set_of([&waker], PollFlags::IN);
    waker.wake().unwrap();
    assert_awake(&set, &waker);
    assert_awake(&other, &waker);
}

#[test]
fn two_threads_that_wake_each_other_never_hang() {
    let (ping_set, ping) = watched();
    let (pong_set, pong) = watched();
    let turn = |set: &PollSet, mine: &Waker, other: &Waker| {
        for _ in 0..5_000 {
            assert_eq!(set.poll(LONG).unwrap(), [event(mine, PollFlags::IN)]);
            mine.clear().unwrap();
            other.wake().unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| turn(&ping_set, &ping, &pong));
        ping.wake().unwrap();
        turn(&pong_set, &pong, &ping);
    });
}

#[test]
fn what_was_done_before_a_wake_is_seen_after_the_clear() {
    const LAST: u32 = 20_000;
    let (set, waker) = watched();
    let work = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..LAST {
                work.fetch_add(1, Ordering::Relaxed);
                waker.wake().unwrap();
            }
        });
        while work.load(Ordering::Relaxed) < LAST {
            assert_eq!(set.poll(LONG).unwrap().len(), 1, "a wake was lost");
            waker.clear().unwrap();
        }
    });
}

#[test]
fn a_waker_is_closed_on_exec_and_never_blocks() {
    let waker = Waker::new().unwrap();
    assert!(fcntl_getfd(&waker).unwrap().contains(FdFlags::CLOEXEC));
    assert!(fcntl_getfl(&waker).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn debug_shows_the_number() {
    let waker = Waker::new().unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&waker);
    assert_eq!(format!("{waker:?}"), format!("Waker {{ fd: {number} }}"));
}
