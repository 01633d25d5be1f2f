//! The checks that are made as time goes by, and re-checking, which is one of them.

use std::time::Duration;

use super::audit::{Due, Made};
use super::{Entry, EpollEngine, State, mask, token};
use crate::stats::Counters;
use crate::sys::epoll::{coarse_now, now};

/// Re-checks between two looks at the clock.
const CLOCK: usize = 2;

impl EpollEngine {
    /// Makes the checks that are due at the beginning of a wait. False: the instance is lost, another
    /// file has its number.
    #[inline]
    #[must_use]
    pub fn audit(&mut self, counters: &Counters) -> bool {
        let now = coarse_now();
        !self.audit.begin(now) || self.audit_beginning(now, counters)
    }

    #[cold]
    fn audit_beginning(&mut self, now: u64, counters: &Counters) -> bool {
        let due = self.audit.due(now, self.entries.len());
        self.check(due, counters)
    }

    /// The same in a wait that has been blocked until now.
    #[must_use]
    pub fn audit_blocked(&mut self, counters: &Counters) -> bool {
        let due = self.audit.due_blocked(coarse_now(), self.entries.len());
        self.check(due, counters)
    }

    fn check(&mut self, due: Due, counters: &Counters) -> bool {
        if due.recheck > 0 && !self.epoll.is_there() {
            self.disown();
            return false;
        }
        let first = self.compare_first();
        let compared = self.compare(due.compare, due.slice);
        let rechecked = self.recheck(due.recheck, due.slice);
        self.audit.record(compared, rechecked, self.entries.len());
        counters.compared.add((first + compared.checks) as u64);
        counters.audited.add(rechecked.checks as u64);
        true
    }

    /// Compares at the end of a wait that has found nothing in this time. Whether that has found
    /// something.
    pub fn compare_last(&mut self, blocked: Duration, counters: &Counters) -> bool {
        let blocked = blocked.min(Duration::from_secs(20)).as_nanos() as u64;
        let due = self.audit.due_last(blocked, self.entries.len());
        let compared = self.compare(due.compare, due.slice);
        self.audit.record(compared, Made::default(), self.entries.len());
        counters.compared.add(compared.checks as u64);
        self.has_answers()
    }

    /// Re-checks `most` entries, or as many as `slice` nanoseconds allow.
    fn recheck(&mut self, most: usize, slice: u64) -> Made {
        let mut made = Made::default();
        if most == 0 {
            return made;
        }
        let start = now();
        loop {
            for _ in 0..CLOCK.min(most - made.checks) {
                if self.next_rechecked >= self.entries.len() {
                    self.next_rechecked = 0;
                }
                self.recheck_entry(self.next_rechecked as u32);
                self.next_rechecked += 1;
                made.checks += 1;
            }
            made.nanoseconds = now() - start;
            // The next ones are likely to take as long as these.
            let next = made.nanoseconds * CLOCK as u64 / made.checks as u64;
            if made.checks == most || made.nanoseconds + next > slice {
                return made;
            }
        }
    }

    pub fn recheck_entry(&mut self, key: u32) {
        let Entry { fd, told, state, .. } = self.entries[key as usize];
        let serial = self.watched[key as usize].serial;
        if state == State::Watched && self.epoll.modify(fd, mask(told), token(key, serial)).is_err()
        {
            self.renew(key);
        }
    }

    /// How long to block before [`audit_blocked`](Self::audit_blocked).
    pub fn pause(&self) -> Option<Duration> {
        (self.watched() > 0).then(|| {
            let pause = self.audit.pause(self.entries.len());
            Duration::from_millis(pause.as_millis() as u64)
        })
    }
}
