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
        if !blocked {
            self.in_block = 0;
        }
        if now == self.last && !self.has_more {
            return 0;
        }
        self.due_later(now, len as u64, blocked)
    }

    #[cold]
    fn due_later(&mut self, now: u64, len: u64, blocked: bool) -> usize {
        if len == 0 {
            return 0;
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

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MILLISECOND;

    /// Makes waits that follow each other, one a millisecond, for ten seconds. Returns the number of
    /// checks in a second.
    fn checks_a_second(audit: &mut Audit, len: usize, check_cost: u64) -> f64 {
        let start = audit.last;
        let mut checks = 0;
        for wait in 1..=10_000 {
            let due = audit.due(start + wait * MILLISECOND, len, false);
            audit.cost(due, due as u64 * check_cost);
            checks += due;
        }
        checks as f64 / 10.0
    }

    fn assert_about(value: f64, expected: f64) {
        assert!((0.97..1.03).contains(&(value / expected)), "{value} instead of {expected}");
    }

    #[test]
    fn a_pass_takes_40_ms_while_that_is_a_small_share_of_the_time() {
        for (len, check_cost) in [(1, 200), (16, 200), (1_000, 200), (5_000, 100), (10_000, 190)] {
            let checks = checks_a_second(&mut Audit::new(7, false), len, check_cost);
            assert_about(checks / len as f64, 25.0);
        }
    }

    #[test]
    fn a_pass_takes_as_long_as_it_needs_to_take_5_percent_of_the_time() {
        for (len, check_cost) in [(20_000, 200), (100_000, 200), (1_000, 10_000)] {
            let checks = checks_a_second(&mut Audit::new(7, false), len, check_cost);
            assert_about(checks * check_cost as f64, 0.05 * SECOND as f64);
        }
    }

    #[test]
    fn at_leisure_a_pass_takes_1100_ms() {
        let checks = checks_a_second(&mut Audit::new(7, true), 1_000, 200);
        assert_about(checks / 1_000.0, 1.0 / 1.1);
    }

    #[test]
    fn what_a_check_costs_is_measured_within_limits() {
        for (measured, expected) in [(0, 20.0), (150, 150.0), (1_000_000, 20_000.0)] {
            let mut audit = Audit::new(0, false);
            for _ in 0..1_000 {
                audit.cost(10, 10 * measured);
            }
            // Each rounds down.
            assert!((expected - 8.0..=expected).contains(&(audit.check_cost as f64)));
        }
        let mut audit = Audit::new(0, false);
        audit.cost(0, 1_000_000);
        assert_eq!(audit.check_cost, CHECK_COST);
        audit.cost(1, 2_210);
        assert_eq!(audit.check_cost, (7 * CHECK_COST + 2_210) / 8);
    }

    #[test]
    fn no_wait_is_held_up_for_what_has_become_due_in_a_long_time() {
        let mut audit = Audit::new(0, false);
        let checks: Vec<_> = std::iter::from_fn(|| {
            Some(audit.due(10 * SECOND, 1_000, false)).filter(|&due| due > 0)
        })
        .collect();
        assert_eq!(checks[..3], [250, 187, 140]);
        assert!(checks.iter().all(|&due| due >= 16));
        // Never more than one pass.
        assert!((985..=1_000).contains(&checks.iter().sum::<usize>()), "{checks:?}");
        assert_eq!(audit.due(10 * SECOND, 1_000, false), 0);
        assert_eq!(audit.due(9 * SECOND, 1_000, false), 0);
    }

    #[test]
    fn nothing_is_due_of_nothing() {
        assert_eq!(Audit::new(0, false).due(SECOND, 0, false), 0);
    }

    /// Blocks until the next check each time; returns when each check began, and of how many.
    fn block(audit: &mut Audit, len: usize, time: u64) -> Vec<(u64, usize)> {
        let mut now = audit.last;
        let end = now + time;
        let mut checks = Vec::new();
        while now < end {
            now += audit.pause(len).as_nanos() as u64;
            let due = audit.due(now, len, true);
            audit.cost(due, due as u64 * CHECK_COST);
            checks.push((now, due));
        }
        checks
    }

    fn sum(checks: &[(u64, usize)], range: std::ops::Range<u64>) -> usize {
        checks.iter().filter(|(at, _)| range.contains(at)).map(|(_, due)| due).sum()
    }

    #[test]
    fn a_wait_that_blocks_makes_one_brisk_pass_and_then_leisurely_ones() {
        let mut audit = Audit::new(0, false);
        for wait in 0..2 {
            let start = audit.last;
            assert_eq!(audit.due(start, 1_000, false), 0);
            let checks = block(&mut audit, 1_000, 10 * SECOND);
            let brisk = sum(&checks, start..start + 50 * MILLISECOND);
            assert!((1_000..1_100).contains(&brisk), "{brisk} in wait {wait}");
            let later = sum(&checks, start + 50 * MILLISECOND..start + 10 * SECOND);
            assert!((8_500..9_100).contains(&later), "{later} in wait {wait}");
        }
        // It is brisk again as soon as waits follow each other.
        let checks = checks_a_second(&mut audit, 1_000, 200);
        assert_about(checks / 1_000.0, 25.0);
    }

    #[test]
    fn a_wait_that_blocks_is_woken_for_as_many_checks_as_are_worth_it() {
        let pause = |len, in_block| Audit { in_block, ..Audit::new(0, false) }.pause(len);
        for (len, pass, expected) in [
            // No longer than a pass, nor shorter than a millisecond.
            (0, 0, Duration::from_millis(40)),
            (20, 0, Duration::from_millis(40)),
            (1_000, 0, Duration::from_micros(2_560)),
            (10_000, 0, Duration::from_millis(1)),
            (20, 1, Duration::from_millis(1_100)),
            (10_000, 1, Duration::from_micros(56_320)),
        ] {
            assert_eq!(pause(len, pass * (len as u64 + 1)), expected, "{len}");
        }
    }

    #[test]
    fn a_wait_that_blocks_makes_1024_checks_at_a_time_at_most() {
        let mut audit = Audit::new(0, false);
        assert_eq!(audit.due(10 * SECOND, 20_000, true), 1_024);
        assert_eq!(audit.due(10 * SECOND, 20_000, true), 1_024);
        assert_eq!(Audit::new(0, false).due(10 * SECOND, 1_000, true), 1_000);
    }
}
