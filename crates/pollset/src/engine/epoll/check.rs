//! Makes the checks of the audit, and re-checks entries. [`audit`](super::audit) decides how many.

use std::time::Duration;

use super::EpollEngine;
use super::audit::{Due, Made};
use crate::engine::Failure;
use crate::stats::Counters;
use crate::sys::clock::{coarse_now, now};

/// Re-checks between two reads of the clock.
const CHECKS_A_READ: usize = 2;

impl EpollEngine {
    /// Whether checks are due at the beginning of a wait.
    #[inline]
    pub fn is_audit_due(&mut self) -> bool {
        self.audit.begin(coarse_now())
    }

    /// Makes them. They may leave entries to install.
    pub fn audit(&mut self, counters: &Counters) -> Result<(), Failure> {
        let due = self.audit.due(coarse_now(), self.entries.len());
        self.check(due, counters)
    }

    /// Makes the checks that are due in a wait that was blocked until now.
    pub fn audit_blocked(&mut self, counters: &Counters) -> Result<(), Failure> {
        let due = self.audit.due_blocked(coarse_now(), self.entries.len());
        self.check(due, counters)
    }

    fn check(&mut self, due: Due, counters: &Counters) -> Result<(), Failure> {
        // J: re-checking would modify another instance.
        if self.is_lost || due.recheck > 0 && !self.epoll.has_mark() {
            return Err(Failure::Lost);
        }
        let listed = self.compare_listed();
        let compared = self.compare(due.compare, due.slice);
        let rechecked = self.recheck(due.recheck, due.slice);
        self.audit.record(compared, rechecked, self.entries.len());
        counters.compared.add((listed + compared.checks) as u64);
        counters.audited.add(rechecked.checks as u64);
        Ok(())
    }

    /// Compares entries at the end of a wait that was blocked for this time and has no events. Returns
    /// whether poll(2) has reported any.
    pub fn compare_last(&mut self, blocked: Duration, counters: &Counters) -> bool {
        let blocked = blocked.min(Duration::from_secs(20)).as_nanos() as u64;
        let due = self.audit.due_last(blocked, self.entries.len());
        let compared = self.compare(due.compare, due.slice);
        self.audit.record(compared, Made::default(), self.entries.len());
        counters.compared.add(compared.checks as u64);
        self.has_results()
    }

    /// Re-checks `most` entries, or as many as `slice` nanoseconds allow.
    fn recheck(&mut self, most: usize, slice: u64) -> Made {
        let mut made = Made::default();
        if most == 0 {
            return made;
        }
        let start = now();
        loop {
            for _ in 0..CHECKS_A_READ.min(most - made.checks) {
                if self.next_rechecked >= self.entries.len() {
                    self.next_rechecked = 0;
                }
                self.recheck_entry(self.next_rechecked as u32);
                self.next_rechecked += 1;
                made.checks += 1;
            }
            made.nanoseconds = now() - start;
            // The next ones are likely to take as long as these.
            let next = made.nanoseconds * CHECKS_A_READ as u64 / made.checks as u64;
            if made.checks == most || made.nanoseconds + next > slice {
                return made;
            }
        }
    }

    /// Nanoseconds of comparing an entry.
    pub fn comparing_cost(&self) -> u64 {
        self.audit.comparing_cost()
    }

    /// How long to block before [`audit_blocked`](Self::audit_blocked).
    pub fn pause(&self) -> Option<Duration> {
        (self.installed() > 0).then(|| {
            let pause = self.audit.pause(self.entries.len());
            Duration::from_millis(pause.as_millis() as u64)
        })
    }
}
