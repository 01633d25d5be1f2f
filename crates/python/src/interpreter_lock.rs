//! Shares the interpreter lock with the other threads of the interpreter.
//!
//! `select.poll` releases the lock in every call, for as long as poll(2) takes. A release costs
//! about 50 ns if no other thread wants the lock, so the only thread of an interpreter keeps it
//! while it asks without waiting. Beside other threads each step releases it. Otherwise a thread
//! that calls poll(0) in a loop would let them run only when the switch interval is over (5 ms).
//!
//! A release is of little use to others if it is short. A thread that waits for the lock needs
//! some microseconds to wake up, and by then the lock is held again. With `select.poll` it succeeds
//! the more often, the longer poll(2) takes; epoll(7) takes less. So while threads contend for the
//! lock, each call adds up the time for which poll(2) would have released it. When that is enough
//! for other threads to get work done, the lock is released for all of it at once. Between such
//! times quick steps keep the lock for a few microseconds, because a handover in each call would
//! slow both threads down.

use std::cell::Cell;
use std::time::{Duration, Instant};
use std::{mem, thread};

use pollset::PollSet;
use pyo3::prelude::*;

/// To take a lock that no other thread holds takes less.
const UNCONTENDED: Duration = Duration::from_micros(1);
/// A thread that keeps the lock for as long as this computes, and releases it only at the switch
/// interval. To wait for it any longer than `select.poll` does gives it next to nothing.
const COMPUTES: Duration = Duration::from_millis(1);
/// How long the lock counts as contended after this thread had to wait for it.
const CONTENDED_FOR: Duration = Duration::from_millis(5);
/// After this many releases of an uncontended lock, one is timed.
const UNTIMED: u8 = 8;
/// For how long a contended lock is kept.
const KEPT_FOR: Duration = Duration::from_micros(5);
/// Of a release, other threads have this much less, until one of them has woken up.
const HANDOVER: Duration = Duration::from_micros(10);
/// How much has to be owed before the lock is released for that time. The kernel may add 50 µs.
const WORTH_A_RELEASE: Duration = Duration::from_micros(100);

/// What a call owes to other threads: the time of a poll(2), rounded up.
const CALL: Duration = Duration::from_nanos(1_500);
const DESCRIPTOR: Duration = Duration::from_nanos(50);
/// At most this many times as long as this thread has had the lock, or handed it over in a step:
/// nine tenths are left to the others, after what the handovers take.
const SHARE: u32 = 20;
/// At most this much a call, so that a set of thousands doesn't slow down a busy thread.
const MOST_FOR_NO_EVENTS: Duration = Duration::from_micros(100);
const MOST_FOR_EVENTS: Duration = Duration::from_micros(8);

/// A set of no more is dropped with the lock held.
const FEW: usize = 32;

thread_local! {
    static LOCK: Cell<Lock> = const { Cell::new(Lock::Uncontended { releases: 0 }) };
}

/// The interpreter lock, as this thread has found it.
#[derive(Clone, Copy)]
enum Lock {
    Uncontended {
        /// Since the last one that was timed.
        releases: u8,
    },
    Contended {
        until: Instant,
        /// When this thread took the lock.
        taken: Instant,
        /// When its last call ended, or the release after that which was owed.
        called: Instant,
        /// To the other threads.
        owed: Duration,
    },
}

/// Begins a wait. Whether its quick steps keep the lock.
pub fn begin(py: Python<'_>) -> bool {
    let Lock::Contended { until, taken, owed, .. } = LOCK.get() else { return false };
    let now = Instant::now();
    if now > until {
        LOCK.set(Lock::Uncontended { releases: 0 });
        return false;
    }
    if owed >= WORTH_A_RELEASE {
        release(py, || thread::sleep(owed));
        if let Lock::Contended { until, taken, owed, .. } = LOCK.get() {
            LOCK.set(Lock::Contended { until, taken, called: taken, owed });
        }
        return true;
    }
    now - taken < KEPT_FOR
}

/// Runs `step` with the lock released.
pub fn release<T: Send>(py: Python<'_>, step: impl FnOnce() -> T + Send) -> T {
    match LOCK.get() {
        Lock::Uncontended { releases } if releases < UNTIMED => {
            LOCK.set(Lock::Uncontended { releases: releases + 1 });
            py.detach(step)
        }
        lock => release_timed(py, lock, step),
    }
}

fn release_timed<T: Send>(py: Python<'_>, lock: Lock, step: impl FnOnce() -> T + Send) -> T {
    let released = Instant::now();
    let (result, wanted) = py.detach(|| (step(), Instant::now()));
    let taken = Instant::now();
    let has_waited = is_contended(wanted, taken);
    LOCK.set(match lock {
        Lock::Uncontended { .. } if !has_waited => Lock::Uncontended { releases: 0 },
        Lock::Uncontended { .. } => Lock::Contended {
            until: taken + CONTENDED_FOR,
            taken,
            called: taken,
            owed: Duration::ZERO,
        },
        Lock::Contended { until, called, owed, .. } => Lock::Contended {
            until: if has_waited { taken + CONTENDED_FOR } else { until },
            taken,
            called,
            owed: owed.saturating_sub((wanted - released).saturating_sub(HANDOVER)),
        },
    });
    result
}

/// Whether another thread had the lock when this one wanted it.
fn is_contended(wanted: Instant, taken: Instant) -> bool {
    let waited = taken - wanted;
    if waited <= UNCONTENDED || waited >= COMPUTES {
        return false;
    }
    // Some systems take longer than that to read the clock.
    let reading = Instant::now() - taken;
    waited > UNCONTENDED + 2 * reading
}

/// Ends a wait. Calls on a contended lock run up a debt.
pub fn end(descriptors: usize, ready: usize) {
    let Lock::Contended { until, taken, called, owed } = LOCK.get() else { return };
    let now = Instant::now();
    let descriptors = descriptors.try_into().unwrap_or(u32::MAX);
    let most = if ready == 0 { MOST_FOR_NO_EVENTS } else { MOST_FOR_EVENTS };
    let price = DESCRIPTOR.saturating_mul(descriptors).saturating_add(CALL);
    let owed = owed + price.min(most).min((now - called) * SHARE);
    LOCK.set(Lock::Contended { until, taken, called: now, owed });
}

/// Drops what is in a set. To close an epoll instance takes the kernel about 1 µs an entry.
pub fn drop_set(set: &mut PollSet) {
    if set.stats().epoll_waits > 0 && set.len() > FEW {
        let set = mem::take(set);
        Python::attach(|py| py.detach(|| drop(set)));
    }
}
