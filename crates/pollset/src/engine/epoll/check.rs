//! The checks that are made as time goes by, and re-checking, which is one of them.

use std::time::Duration;

use super::{Entry, EpollEngine, State, mask, token};
use crate::stats::Counters;
use crate::sys::epoll::{coarse_now, now};

/// Re-checks between two looks at the clock.
const CLOCK: usize = 2;

impl EpollEngine {
    /// Makes the checks that are due. False: the instance is lost, somebody else's file has its
    /// number.
    #[inline]
    #[must_use]
    pub fn audit(&mut self, is_blocked: bool, counters: &Counters) -> bool {
        let now = coarse_now();
        !self.audit.is_due(now, is_blocked) || self.check_due(now, is_blocked, counters)
    }

    #[cold]
    fn check_due(&mut self, now: u64, is_blocked: bool, counters: &Counters) -> bool {
        if !is_blocked {
            self.forget_answers();
        }
        let len = self.entries.len();
        let due = self.audit.due(now, len, is_blocked);
        if due.recheck > 0 && !self.epoll.is_there() {
            self.disown();
            return false;
        }
        counters.compared.add(self.compare_first() as u64);
        if due.compare > 0 {
            let (checks, nanoseconds) = self.compare(due.compare, due.slice);
            self.audit.has_compared(checks, nanoseconds, len, is_blocked);
            counters.compared.add(checks as u64);
        }
        if due.recheck > 0 {
            let (checks, nanoseconds) = self.recheck(due.recheck, due.slice);
            self.audit.has_rechecked(checks, nanoseconds, len, is_blocked);
            counters.audited.add(checks as u64);
        }
        true
    }

    /// Re-checks so many entries, or as many as the time allows, in nanoseconds. Returns how many,
    /// and how long it took.
    fn recheck(&mut self, checks: usize, slice: u64) -> (usize, u64) {
        let start = now();
        let mut done = 0;
        loop {
            for _ in 0..CLOCK.min(checks - done) {
                if self.next_rechecked >= self.entries.len() {
                    self.next_rechecked = 0;
                }
                self.recheck_entry(self.next_rechecked as u32);
                self.next_rechecked += 1;
                done += 1;
            }
            let taken = now() - start;
            // The next ones are likely to take as long as these.
            let next = taken * CLOCK as u64 / done as u64;
            if done == checks || taken + next > slice {
                return (done, taken);
            }
        }
    }

    fn recheck_entry(&mut self, key: u32) {
        let Entry { fd, told, state, .. } = self.entries[key as usize];
        let serial = self.watched[key as usize].serial;
        if state == State::Watched && self.epoll.modify(fd, mask(told), token(key, serial)).is_err()
        {
            self.renew(key);
        }
    }

    /// How long to block before the next [`audit`](Self::audit).
    pub fn pause(&self) -> Option<Duration> {
        (self.watched() > 0).then(|| {
            let pause = self.audit.pause(self.entries.len());
            Duration::from_millis(pause.as_millis() as u64)
        })
    }
}
