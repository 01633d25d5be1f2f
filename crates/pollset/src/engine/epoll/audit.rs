//! The pace of the audit: how many registrations are re-checked, and when.
//!
//! While waits follow each other, and in the first pass of a wait that blocks, a pass over all
//! registrations takes [`PASS`], or as much longer as it needs to take no more than [`SHARE`] of the
//! time. A wait that stays blocked makes a pass each [`IDLE_PASS`], and so does an audit at leisure.

use std::time::Duration;

/// How long one pass takes at a brisk pace.
const PASS: Duration = Duration::from_millis(40);
/// At the most one part in this many of the time is spent: 5 %.
const SHARE: u64 = 20;
/// How long one pass takes in a wait that stays blocked, or at leisure.
const IDLE_PASS: Duration = Duration::from_millis(1100);
/// Checks that are worth waking up for, in the first pass of a wait that blocks and later.
const WORTH_WAKING: u64 = 64;
const IDLE_WORTH_WAKING: u64 = 512;
/// Checks made at a time while waits follow each other, at least.
const AT_ONCE: u64 = 16;
/// Checks made at a time in a wait that blocks, at most.
const AT_MOST: u64 = 1_024;
/// What a check costs, in nanoseconds, until that has been measured.
const CHECK_COST: u64 = 210;

pub struct Audit {
    at_leisure: bool,
    /// When checks were last allowed for, in nanoseconds.
    last: u64,
    /// Nanoseconds of time that have not been used for checks.
    unused: u64,
    /// Checks are due that were left to the next wait.
    has_more: bool,
    /// What a check costs, in nanoseconds, on this machine.
    check_cost: u64,
    /// Checks since the wait in progress began to block.
    in_block: u64,
}

impl Audit {
    pub fn new(now: u64, at_leisure: bool) -> Self {
        Self {
            at_leisure,
            last: now,
            unused: 0,
            has_more: false,
            check_cost: CHECK_COST,
            in_block: 0,
        }
    }

    /// How many of `len` registrations to check now. While waits follow each other, part of what is
    /// due is left to the next, so that none is held up for long.
    #[inline]
    pub fn due(&mut self, now: u64, len: usize, blocked: bool) -> usize {
        if now == self.last && !self.has_more {
            return 0;
        }
        self.due_later(now, len as u64, blocked)
    }

    fn due_later(&mut self, now: u64, len: u64, blocked: bool) -> usize {
        if len == 0 {
            return 0;
        }
        if !blocked {
            self.in_block = 0;
        }
        let pass = self.pass(len);
        // More than one pass is never due.
        self.unused = (self.unused + now.saturating_sub(self.last)).min(pass);
        self.last = now;
        let due = len * self.unused / pass;
        let checks = match due {
            _ if blocked => due.min(AT_MOST),
            due if due < AT_ONCE.min(len) => 0,
            due => (due / 4).max(AT_ONCE).min(due),
        };
        self.unused -= checks * pass / len;
        self.has_more = due - checks >= AT_ONCE.min(len);
        checks as usize
    }

    /// Takes note of what `checks` checks have cost, in nanoseconds.
    pub fn cost(&mut self, checks: usize, nanoseconds: u64) {
        if checks > 0 {
            let cost = (nanoseconds / checks as u64).clamp(20, 20_000);
            self.check_cost = (7 * self.check_cost + cost) / 8;
            self.in_block += checks as u64;
        }
    }

    pub fn begin_block(&mut self) {
        self.in_block = 0;
    }

    /// How long to block before the next check.
    pub fn pause(&self, len: usize) -> Duration {
        let len = len.max(1) as u64;
        let pass = self.pass(len);
        let worth_waking = if self.is_idle(len) { IDLE_WORTH_WAKING } else { WORTH_WAKING };
        Duration::from_nanos(pass * worth_waking / len)
            .clamp(Duration::from_millis(1), Duration::from_nanos(pass))
    }

    fn is_idle(&self, len: u64) -> bool {
        self.at_leisure || self.in_block > len
    }

    /// How long one pass over `len` registrations takes, in nanoseconds.
    fn pass(&self, len: u64) -> u64 {
        let pass = if self.is_idle(len) { IDLE_PASS } else { PASS };
        (pass.as_nanos() as u64).max(SHARE * len * self.check_cost)
    }
}
