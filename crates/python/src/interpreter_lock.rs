//! Shares the interpreter lock with the other threads of the interpreter.
//!
//! `select.poll` releases the lock in every call, for as long as poll(2) takes. A release costs
//! about 50 ns if no other thread wants the lock, so the only thread of an interpreter keeps it
//! while it polls without blocking. If there are other threads, each step releases it. Otherwise a
//! thread that calls poll(0) in a loop would let them run only at the switch interval (5 ms).
//!
//! A short release is of little use to other threads. A thread that waits for the lock needs some
//! microseconds to wake up, and by then the lock is held again. With `select.poll` it succeeds the
//! more often, the longer poll(2) takes; epoll(7) takes less. So while threads contend for the
//! lock, each call adds the time for which poll(2) would have released it to a debt. When the debt
//! is long enough for other threads to make progress, the lock is released for all of it at once.
//! In between, quick steps keep the lock for a few microseconds, because a handover in each call
//! would slow both threads down.

use std::cell::Cell;
use std::time::{Duration, Instant};
use std::{mem, thread};

use pollset::PollSet;
use pyo3::prelude::*;

/// Acquiring a lock that no other thread holds takes less than this.
const MAX_UNCONTENDED_WAIT: Duration = Duration::from_micros(1);
/// A thread that holds the lock for this long is computing, and releases it only at the switch
/// interval. Waiting longer for it than `select.poll` does would gain it next to nothing.
const MIN_COMPUTING_HOLD: Duration = Duration::from_millis(1);
/// How long the lock counts as contended after this thread had to wait for it.
const CONTENTION_EXPIRY: Duration = Duration::from_millis(5);
/// After this many releases of an uncontended lock, one is timed.
const UNTIMED_RELEASES: u8 = 8;
/// How long quick steps keep a contended lock.
const MAX_KEPT: Duration = Duration::from_micros(5);
/// The part of a release in which no other thread runs yet, because it is waking up.
const HANDOVER: Duration = Duration::from_micros(10);
/// The debt at which the lock is released for that time. The kernel may add 50 µs.
const MIN_RELEASE: Duration = Duration::from_micros(100);

/// The debt of a call: the time that poll(2) would take, rounded up.
const DEBT_PER_CALL: Duration = Duration::from_nanos(1_500);
const DEBT_PER_DESCRIPTOR: Duration = Duration::from_nanos(50);
/// The limit of a call's debt, in multiples of the time for which this thread has held the lock, or
/// released it in a step, since the last call. It leaves nine tenths of the time to other threads,
/// after the cost of the handovers.
const MAX_DEBT_RATIO: u32 = 20;
/// The limits of a call's debt, so that a set of thousands doesn't slow down a busy thread.
const MAX_DEBT_WITHOUT_EVENTS: Duration = Duration::from_micros(100);
const MAX_DEBT_WITH_EVENTS: Duration = Duration::from_micros(8);

/// A set of at most this many descriptors is dropped with the lock held.
const MAX_DROPPED_WITH_LOCK: usize = 32;

thread_local! {
    static LOCK: Cell<Lock> = const { Cell::new(Lock::Uncontended { releases: 0 }) };
}

/// The state of the interpreter lock, as this thread has last observed it.
#[derive(Clone, Copy)]
enum Lock {
    Uncontended {
        /// The number of releases since the last one that was timed.
        releases: u8,
    },
    Contended {
        until: Instant,
        /// When this thread acquired the lock.
        acquired: Instant,
        /// When this thread's last call ended, or the release that paid its debt.
        last_call: Instant,
        /// How long this thread still has to release the lock for other threads.
        release_debt: Duration,
    },
}

/// Begins a wait. Returns whether its quick steps keep the lock.
pub fn begin_wait(py: Python<'_>) -> bool {
    let Lock::Contended { until, acquired, release_debt, .. } = LOCK.get() else { return false };
    let now = Instant::now();
    if now > until {
        LOCK.set(Lock::Uncontended { releases: 0 });
        return false;
    }
    if release_debt >= MIN_RELEASE {
        release(py, || thread::sleep(release_debt));
        if let Lock::Contended { until, acquired, release_debt, .. } = LOCK.get() {
            LOCK.set(Lock::Contended { until, acquired, last_call: acquired, release_debt });
        }
        return true;
    }
    now - acquired < MAX_KEPT
}

/// Runs `step` with the lock released.
pub fn release<T: Send>(py: Python<'_>, step: impl FnOnce() -> T + Send) -> T {
    match LOCK.get() {
        Lock::Uncontended { releases } if releases < UNTIMED_RELEASES => {
            LOCK.set(Lock::Uncontended { releases: releases + 1 });
            py.detach(step)
        }
        lock => release_timed(py, lock, step),
    }
}

fn release_timed<T: Send>(py: Python<'_>, lock: Lock, step: impl FnOnce() -> T + Send) -> T {
    let released = Instant::now();
    let (result, requested) = py.detach(|| (step(), Instant::now()));
    let acquired = Instant::now();
    let has_waited = is_contended(requested, acquired);
    LOCK.set(match lock {
        Lock::Uncontended { .. } if !has_waited => Lock::Uncontended { releases: 0 },
        Lock::Uncontended { .. } => Lock::Contended {
            until: acquired + CONTENTION_EXPIRY,
            acquired,
            last_call: acquired,
            release_debt: Duration::ZERO,
        },
        Lock::Contended { until, last_call, release_debt, .. } => Lock::Contended {
            until: if has_waited { acquired + CONTENTION_EXPIRY } else { until },
            acquired,
            last_call,
            release_debt: release_debt
                .saturating_sub((requested - released).saturating_sub(HANDOVER)),
        },
    });
    result
}

/// Whether another thread held the lock when this one requested it.
fn is_contended(requested: Instant, acquired: Instant) -> bool {
    let waited = acquired - requested;
    if waited <= MAX_UNCONTENDED_WAIT || waited >= MIN_COMPUTING_HOLD {
        return false;
    }
    // Some systems take longer than that to read the clock.
    let clock_read = Instant::now() - acquired;
    waited > MAX_UNCONTENDED_WAIT + 2 * clock_read
}

/// Ends a wait. If the lock is contended, the call adds to the debt.
pub fn end_wait(descriptors: usize, ready: usize) {
    let Lock::Contended { until, acquired, last_call, release_debt } = LOCK.get() else { return };
    let now = Instant::now();
    let descriptors = descriptors.try_into().unwrap_or(u32::MAX);
    let poll_time = DEBT_PER_DESCRIPTOR.saturating_mul(descriptors).saturating_add(DEBT_PER_CALL);
    let limit = if ready == 0 { MAX_DEBT_WITHOUT_EVENTS } else { MAX_DEBT_WITH_EVENTS };
    let call_debt = poll_time.min(limit).min((now - last_call) * MAX_DEBT_RATIO);
    let release_debt = release_debt + call_debt;
    LOCK.set(Lock::Contended { until, acquired, last_call: now, release_debt });
}

/// Drops the contents of a set. Closing an epoll instance takes the kernel about 1 µs an entry.
pub fn drop_set(set: &mut PollSet) {
    if set.stats().epoll_waits > 0 && set.len() > MAX_DROPPED_WITH_LOCK {
        let set = mem::take(set);
        Python::attach(|py| py.detach(|| drop(set)));
    }
}
