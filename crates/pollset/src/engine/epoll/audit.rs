//! The pace of the checks that an epoll instance needs: how many entries to check, and when.
//!
//! There are two checks. *Comparing* asks poll(2) about a slice of the entries, with timeout 0: it
//! finds closed numbers, and readiness that epoll has missed. *Re-checking* repeats `EPOLL_CTL_MOD`,
//! which is dearer, and finds numbers that mean another file now.
//!
//! - While waits follow each other, a pass of comparing takes 10 ms if that is 1 % of the time or
//!   less, up to 40 ms where 1 % is not enough for 10, and longer only where 5 % is not enough for 40.
//!   A pass of re-checking takes 40 ms, or as long as it needs to take 1 % of the time.
//! - No wait does more than 3 µs of it, and on average a wait does 2 µs at most. Where a process has
//!   worked for long before a wait, 8 ms of that count, and the checks are left to the next wait, when
//!   the caches are warm again. So a process that works between its waits pays little, and needs more
//!   time for a pass.
//! - A wait that blocks makes one pass of each, in 10 and 40 ms or at 5 % of the time. While it stays
//!   blocked a pass takes 1.1 s, and so does each pass at leisure.

use std::time::Duration;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;

/// How long a pass takes in a wait that stays blocked, or at leisure.
const IDLE_PASS: u64 = 1_100 * MILLISECOND;
/// Of the time, one part in this many is spent on a check: 1 % ...
const GENTLE: u64 = 100;
/// ... or at most 5 %.
const AT_MOST: u64 = 20;
/// What a wait spends on average, at most.
const AVERAGE: u64 = 2 * MICROSECOND;
/// If no wait was made for longer than this, no more of the time counts.
const GAP: u64 = 8 * MILLISECOND;
/// What is spent at a time, at most: in a wait that asks, in one that has begun to block, which has
/// taken a millisecond by then, and in one that stays blocked.
const SLICE: u64 = 3 * MICROSECOND;
const BLOCKED_SLICE: u64 = 50 * MICROSECOND;
const IDLE_SLICE: u64 = 200 * MICROSECOND;

const COMPARING: Limits = Limits {
    pass: 10 * MILLISECOND,
    gentle_pass: 40 * MILLISECOND,
    few: 8,
    worth_waking: 256,
    cost: 40,
};
const RECHECKING: Limits =
    Limits { pass: 40 * MILLISECOND, gentle_pass: IDLE_PASS, few: 4, worth_waking: 64, cost: 250 };

struct Limits {
    /// How long a pass takes at the least, in nanoseconds.
    pass: u64,
    /// How long it may take before it gets more than 1 % of the time.
    gentle_pass: u64,
    /// Fewer checks are not worth doing at a time.
    few: u64,
    /// For as many a wait that blocks is woken.
    worth_waking: u64,
    /// What a check costs until that has been measured, in nanoseconds.
    cost: u64,
}

pub struct Audit {
    is_at_leisure: bool,
    /// When time was last credited, in nanoseconds.
    credited: u64,
    /// Waits so far, now and when time was last credited.
    waits: u32,
    waits_credited: u32,
    /// More checks are due than have been made, or other ones.
    has_more: bool,
    /// Re-checking is next, if both are due.
    is_recheck_next: bool,
    /// The last wait came after a long time, and left what was due to the next one.
    has_deferred: bool,
    /// The last wait that has made checks while it blocked.
    last_blocked: u32,
    pub comparing: Pace,
    pub rechecking: Pace,
}

/// What to check now, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub compare: usize,
    pub recheck: usize,
    /// How long each of them may take, in nanoseconds.
    pub slice: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Waits follow each other.
    Asking,
    /// A wait has begun to block.
    Blocked,
    /// A wait stays blocked; or the audit is at leisure.
    Idle,
}

impl Audit {
    pub fn new(now: u64, is_at_leisure: bool) -> Self {
        Self {
            is_at_leisure,
            credited: now,
            waits: 0,
            waits_credited: 0,
            has_more: false,
            is_recheck_next: false,
            has_deferred: false,
            last_blocked: 0,
            comparing: Pace::new(&COMPARING),
            rechecking: Pace::new(&RECHECKING),
        }
    }

    /// Whether something may be due in a wait that begins now, or has been blocked until now.
    #[inline]
    pub fn is_due(&mut self, now: u64, is_blocked: bool) -> bool {
        self.waits = self.waits.wrapping_add(!is_blocked as u32);
        now != self.credited || self.has_more
    }

    /// Has the next wait look for what is due.
    pub fn hasten(&mut self) {
        self.has_more = true;
    }

    /// What to check of `len` entries.
    pub fn due(&mut self, now: u64, len: usize, is_blocked: bool) -> Due {
        let mut elapsed = now.saturating_sub(self.credited);
        let waits = self.waits.wrapping_sub(self.waits_credited);
        self.credited = now;
        self.waits_credited = self.waits;
        self.has_more = false;
        if len == 0 {
            return Due::default();
        }
        if is_blocked && self.last_blocked != self.waits {
            self.last_blocked = self.waits;
            self.comparing.in_block = 0;
            self.rechecking.in_block = 0;
        }
        let is_after_gap = !is_blocked && elapsed > GAP;
        if is_after_gap {
            elapsed = GAP;
        }
        let slice = self.slice(len as u64, is_blocked);
        let mut due = |is_recheck: bool| {
            let mode = self.mode(is_recheck, len as u64, is_blocked);
            let pace = if is_recheck { &mut self.rechecking } else { &mut self.comparing };
            pace.credit(mode, len as u64, elapsed, (!is_blocked).then_some(waits));
            pace.due(mode, len as u64).min((slice / pace.cost).max(pace.limits.few)) as usize
        };
        let (mut compare, mut recheck) = (due(false), due(true));
        self.has_deferred = is_after_gap && !self.has_deferred;
        if self.has_deferred {
            self.has_more = true;
            return Due::default();
        }
        if !is_blocked && compare > 0 && recheck > 0 {
            if self.is_recheck_next {
                compare = 0
            } else {
                recheck = 0
            }
            self.is_recheck_next = !self.is_recheck_next;
            self.has_more = true;
        }
        Due { compare, recheck, slice }
    }

    /// Takes note of what comparing so many of `len` entries has cost.
    pub fn has_compared(&mut self, checks: usize, nanoseconds: u64, len: usize, is_blocked: bool) {
        let mode = self.mode(false, len as u64, is_blocked);
        self.has_more |= self.comparing.record(mode, checks as u64, nanoseconds, len as u64);
    }

    /// Takes note of what re-checking so many of `len` entries has cost.
    pub fn has_rechecked(&mut self, checks: usize, nanoseconds: u64, len: usize, is_blocked: bool) {
        let mode = self.mode(true, len as u64, is_blocked);
        self.has_more |= self.rechecking.record(mode, checks as u64, nanoseconds, len as u64);
    }

    /// How long to block before the next checks.
    pub fn pause(&self, len: usize) -> Duration {
        let len = len.max(1) as u64;
        let pause = |is_recheck, pace: &Pace| pace.pause(self.mode(is_recheck, len, true), len);
        pause(false, &self.comparing).min(pause(true, &self.rechecking))
    }

    fn mode(&self, is_recheck: bool, len: u64, is_blocked: bool) -> Mode {
        let pace = if is_recheck { &self.rechecking } else { &self.comparing };
        if self.is_at_leisure || is_blocked && self.blocks_again() && pace.in_block >= len {
            Mode::Idle
        } else if is_blocked {
            Mode::Blocked
        } else {
            Mode::Asking
        }
    }

    /// Whether this wait has made checks before while it blocked.
    fn blocks_again(&self) -> bool {
        self.last_blocked == self.waits
    }

    fn slice(&self, len: u64, is_blocked: bool) -> u64 {
        match is_blocked {
            false => SLICE,
            true if self.mode(true, len, true) == Mode::Idle => IDLE_SLICE,
            true => BLOCKED_SLICE,
        }
    }
}

/// The pace of one of the checks.
pub struct Pace {
    limits: &'static Limits,
    /// Nanoseconds of time that have not been used for checks.
    unused: u64,
    /// What a check costs on this machine, in nanoseconds.
    cost: u64,
    /// Checks made since the wait in progress began to block.
    in_block: u64,
}

impl Pace {
    fn new(limits: &'static Limits) -> Self {
        Self { limits, unused: 0, cost: limits.cost, in_block: 0 }
    }

    /// How long a pass over `len` entries takes.
    fn pass(&self, mode: Mode, len: u64) -> u64 {
        let full = len * self.cost;
        let pass = match mode {
            Mode::Asking => (GENTLE * full).clamp(self.limits.pass, self.limits.gentle_pass),
            Mode::Blocked => self.limits.pass,
            Mode::Idle => IDLE_PASS,
        };
        pass.max(AT_MOST * full)
    }

    /// Time has gone by, in which so many waits were made.
    fn credit(&mut self, mode: Mode, len: u64, elapsed: u64, waits: Option<u32>) {
        let pass = self.pass(mode, len);
        let most = waits.map_or(pass, |waits| {
            u64::from(waits).saturating_mul(AVERAGE).saturating_mul(pass) / (len * self.cost)
        });
        // More than one pass is never due.
        self.unused = (self.unused + elapsed.min(most)).min(pass);
    }

    fn due(&self, mode: Mode, len: u64) -> u64 {
        let due =
            (u128::from(len) * u128::from(self.unused) / u128::from(self.pass(mode, len))) as u64;
        if due < self.limits.few.min(len) { 0 } else { due }
    }

    /// Whether more checks are due than these.
    fn record(&mut self, mode: Mode, checks: u64, nanoseconds: u64, len: u64) -> bool {
        if checks > 0 {
            let used = checks * self.pass(mode, len) / len.max(1);
            self.unused = self.unused.saturating_sub(used);
            let cost = (nanoseconds / checks).clamp(10, 20_000);
            self.cost = (7 * self.cost + cost) / 8;
            self.in_block += checks;
        }
        self.due(mode, len) > 0
    }

    fn pause(&self, mode: Mode, len: u64) -> Duration {
        let pass = self.pass(mode, len);
        let worth_waking = match mode {
            Mode::Idle => 512,
            _ => self.limits.worth_waking,
        };
        let pause = (pass * worth_waking / len).clamp(MILLISECOND, pass);
        Duration::from_nanos(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000 * MILLISECOND;

    /// What the checks of some time were.
    #[derive(Debug, Default)]
    struct Made {
        compared: usize,
        rechecked: usize,
        /// The most time that one wait took for them.
        longest: u64,
        /// When each began, and how many.
        at: Vec<(u64, usize, usize)>,
    }

    /// What a check of each kind costs.
    #[derive(Clone, Copy)]
    struct Costs(u64, u64);

    const CHEAP: Costs = Costs(30, 200);
    const DEAR: Costs = Costs(600, 1_500);

    /// Does what is due, as the engine does it.
    fn check(audit: &mut Audit, now: u64, len: usize, is_blocked: bool, costs: Costs) -> Due {
        if !audit.is_due(now, is_blocked) {
            return Due::default();
        }
        let due = audit.due(now, len, is_blocked);
        let allowed = |checks: usize, cost| checks.min((due.slice / cost) as usize + 4);
        let compare = allowed(due.compare, costs.0);
        if compare > 0 {
            audit.has_compared(compare, compare as u64 * costs.0, len, is_blocked);
        }
        let recheck = allowed(due.recheck, costs.1);
        if recheck > 0 {
            audit.has_rechecked(recheck, recheck as u64 * costs.1, len, is_blocked);
        }
        Due { compare, recheck, ..due }
    }

    impl Made {
        fn add(&mut self, now: u64, due: Due, costs: Costs) {
            self.compared += due.compare;
            self.rechecked += due.recheck;
            let taken = due.compare as u64 * costs.0 + due.recheck as u64 * costs.1;
            self.longest = self.longest.max(taken);
            if taken > 0 {
                self.at.push((now, due.compare, due.recheck));
            }
        }

        fn between(&self, start: u64, end: u64) -> (usize, usize) {
            let at = self.at.iter().filter(|(at, ..)| (start..end).contains(at));
            at.fold((0, 0), |sum, made| (sum.0 + made.1, sum.1 + made.2))
        }
    }

    /// Makes a wait each so many nanoseconds, for ten seconds after a first one, by a clock with ticks
    /// of 4 ms.
    fn ask(audit: &mut Audit, len: usize, interval: u64, costs: Costs) -> Made {
        let mut made = Made::default();
        let start = audit.credited;
        for wait in 1..=11 * SECOND / interval {
            let now = start + wait * interval / (4 * MILLISECOND) * (4 * MILLISECOND);
            let due = check(audit, now, len, false, costs);
            if now >= start + SECOND {
                made.add(now, due, costs);
            }
        }
        made
    }

    #[track_caller]
    fn assert_about(value: f64, expected: f64) {
        assert!((0.93..1.07).contains(&(value / expected)), "{value} instead of {expected}");
    }

    #[track_caller]
    fn assert_passes(made: &Made, len: usize, comparing: u64, rechecking: u64) {
        let passes = |checks| checks as f64 / len as f64;
        assert_about(passes(made.compared), 10_000.0 / comparing as f64);
        assert_about(passes(made.rechecked), 10_000.0 / rechecking as f64);
    }

    #[test]
    fn passes_take_10_and_40_ms_while_that_is_a_hundredth_of_the_time() {
        for len in [100, 1_000] {
            let made = ask(&mut Audit::new(7, false), len, 20 * MICROSECOND, CHEAP);
            assert_passes(&made, len, 10, 40);
        }
    }

    /// A pass is made at a tick of the clock.
    #[test]
    fn passes_over_few_take_up_to_a_tick_more() {
        for len in [1, 3, 16] {
            let made = ask(&mut Audit::new(7, false), len, 20 * MICROSECOND, CHEAP);
            let passes = [made.compared / len, made.rechecked / len];
            assert!((714..=1_000).contains(&passes[0]), "{passes:?}");
            assert!((227..=252).contains(&passes[1]), "{passes:?}");
        }
    }

    #[test]
    fn passes_over_many_take_a_hundredth_of_the_time() {
        let made = ask(&mut Audit::new(7, false), 10_000, 20 * MICROSECOND, CHEAP);
        assert_passes(&made, 10_000, 30, 200);
    }

    #[test]
    fn comparing_takes_40_ms_where_a_twentieth_of_the_time_is_enough_for_that() {
        for (len, comparing) in [(1_000, 40), (3_000, 40), (10_000, 120)] {
            let made = ask(&mut Audit::new(7, false), len, 10 * MICROSECOND, DEAR);
            let rechecking = (len as u64 * DEAR.1 / 10_000).clamp(40, 1_100);
            assert_passes(&made, len, comparing, rechecking);
        }
    }

    #[test]
    fn at_leisure_a_pass_takes_1100_ms() {
        let made = ask(&mut Audit::new(7, true), 1_000, 20 * MICROSECOND, CHEAP);
        assert_passes(&made, 1_000, 1_100, 1_100);
    }

    #[test]
    fn no_wait_does_more_than_3_microseconds() {
        for costs in [CHEAP, DEAR] {
            for interval in [MICROSECOND, 100 * MICROSECOND, MILLISECOND, 30 * MILLISECOND] {
                for len in [100, 9_000] {
                    let made = ask(&mut Audit::new(7, false), len, interval, costs);
                    // One check more than there is time for, before that is seen.
                    let most = SLICE + 8 * costs.0.max(costs.1);
                    assert!(made.longest <= most, "{} ns of {len}", made.longest);
                }
            }
        }
    }

    #[test]
    fn a_wait_does_two_microseconds_of_each_on_average() {
        for interval in [50 * MICROSECOND, MILLISECOND, 30 * MILLISECOND] {
            let made = ask(&mut Audit::new(7, false), 9_000, interval, DEAR);
            let waits = 10 * SECOND / interval;
            let each =
                [made.compared as u64 * DEAR.0 / waits, made.rechecked as u64 * DEAR.1 / waits];
            assert!(each.iter().all(|&each| each <= 2_200), "{each:?} each {interval} ns");
            assert!(made.compared > 0 && made.rechecked > 0);
        }
    }

    #[test]
    fn what_a_check_costs_is_measured_within_limits() {
        for (measured, expected) in [(0, 10.0), (150, 150.0), (1_000_000, 20_000.0)] {
            let mut audit = Audit::new(0, false);
            for _ in 0..1_000 {
                audit.has_compared(10, 10 * measured, 100, false);
            }
            // Each rounds down.
            assert!((expected - 8.0..=expected).contains(&(audit.comparing.cost as f64)));
            assert_eq!(audit.rechecking.cost, RECHECKING.cost);
        }
        let mut audit = Audit::new(0, false);
        audit.has_rechecked(0, 1_000_000, 100, false);
        assert_eq!(audit.rechecking.cost, RECHECKING.cost);
        audit.has_rechecked(1, 2_250, 100, false);
        assert_eq!(audit.rechecking.cost, (7 * RECHECKING.cost + 2_250) / 8);
    }

    #[test]
    fn more_than_one_pass_is_never_due() {
        let mut audit = Audit::new(0, false);
        for tick in 1..100 {
            (0..10_000).for_each(|_| assert!(audit.is_due(tick * 4 * MILLISECOND, false)));
            audit.due(tick * 4 * MILLISECOND, 1_000, false);
        }
        let made: Vec<_> = std::iter::from_fn(|| {
            let due = check(&mut audit, 99 * 4 * MILLISECOND, 1_000, false, CHEAP);
            Some(due).filter(|due| due.compare + due.recheck > 0)
        })
        .collect();
        let compared = made.iter().map(|due| due.compare).sum::<usize>();
        let rechecked = made.iter().map(|due| due.recheck).sum::<usize>();
        assert!((950..=1_000).contains(&compared), "{compared}");
        assert!((950..=1_000).contains(&rechecked), "{rechecked}");
        // A clock that goes back.
        assert_eq!(
            check(&mut audit, 0, 1_000, false, CHEAP),
            Due { slice: SLICE, ..Due::default() }
        );
    }

    #[test]
    fn a_wait_after_a_long_time_leaves_the_checks_to_the_next() {
        let mut audit = Audit::new(0, false);
        for round in 1..100 {
            let now = round * 30 * MILLISECOND;
            assert_eq!(check(&mut audit, now, 9_000, false, CHEAP), Due::default());
            let made = check(&mut audit, now, 9_000, false, CHEAP);
            assert!(made.compare + made.recheck > 0);
        }
        // Unless that wait did so, too.
        let made = (0..100).map(|wait| {
            check(&mut audit, 4 * SECOND + wait * 30 * MILLISECOND, 9_000, false, CHEAP)
        });
        assert_eq!(made.filter(|made| *made == Due::default()).count(), 50);
    }

    #[test]
    fn nothing_is_due_of_nothing() {
        assert_eq!(Audit::new(0, false).due(SECOND, 0, false), Due::default());
    }

    /// Blocks until the next checks each time.
    fn block(audit: &mut Audit, now: &mut u64, len: usize, time: u64) -> Made {
        let mut made = Made::default();
        let end = *now + time;
        check(audit, *now, len, false, CHEAP);
        while *now < end {
            *now += audit.pause(len).as_nanos() as u64;
            made.add(*now, check(audit, *now, len, true, CHEAP), CHEAP);
        }
        made
    }

    #[test]
    fn a_wait_that_blocks_makes_a_brisk_pass_of_each_and_then_leisurely_ones() {
        let mut audit = Audit::new(0, false);
        let mut now = 0;
        for _ in 0..2 {
            let start = now;
            let made = block(&mut audit, &mut now, 1_000, 10 * SECOND);
            let (compared, _) = made.between(start, start + 15 * MILLISECOND);
            let (_, rechecked) = made.between(start, start + 50 * MILLISECOND);
            assert!((1_000..1_300).contains(&compared), "{made:?}");
            assert!((1_000..1_300).contains(&rechecked), "{made:?}");
            let (compared, rechecked) = made.between(start + 60 * MILLISECOND, now);
            assert!((8_500..9_500).contains(&compared), "{compared}");
            assert!((8_500..9_500).contains(&rechecked), "{rechecked}");
        }
        // They are brisk again as soon as waits follow each other.
        assert_passes(&ask(&mut audit, 1_000, 20 * MICROSECOND, CHEAP), 1_000, 10, 40);
    }

    #[test]
    fn a_wait_that_blocks_is_woken_for_as_many_checks_as_are_worth_it() {
        let pause = |len: usize, passes: u64| {
            let mut audit = Audit::new(0, false);
            audit.comparing.in_block = passes * (len as u64 + 1);
            audit.rechecking.in_block = audit.comparing.in_block;
            audit.pause(len)
        };
        for (len, passes, expected) in [
            // No longer than a pass, nor shorter than a millisecond.
            (0, 0, Duration::from_millis(10)),
            (20, 0, Duration::from_millis(10)),
            (1_000, 0, Duration::from_micros(2_560)),
            (10_000, 0, Duration::from_millis(1)),
            (20, 1, Duration::from_millis(1_100)),
            (10_000, 1, Duration::from_micros(56_320)),
        ] {
            assert_eq!(pause(len, passes), expected, "{len}");
        }
    }

    #[test]
    fn a_wait_that_blocks_does_50_microseconds_at_a_time_and_200_later() {
        let mut audit = Audit::new(0, false);
        let mut now = 0;
        let made = block(&mut audit, &mut now, 20_000, 60 * MILLISECOND);
        assert!(made.longest <= 2 * BLOCKED_SLICE, "{}", made.longest);
        let made = block(&mut audit, &mut now, 20_000, 10 * SECOND);
        assert!((BLOCKED_SLICE..=2 * IDLE_SLICE).contains(&made.longest), "{}", made.longest);
    }
}
