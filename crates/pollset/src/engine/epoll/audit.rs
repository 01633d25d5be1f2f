//! Decides how many entries to check in each wait, and for how long.
//!
//! There are two checks. *Comparing* calls poll(2) for some entries, with a timeout of 0: it finds
//! closed numbers (A), and events that epoll has missed (D). *Re-checking* repeats `EPOLL_CTL_MOD`,
//! which is dearer, and finds numbers that mean another file now (C). A *pass* checks all entries
//! once.
//!
//! - While waits follow each other, a pass of comparing takes 10 ms. If that were more than 1 % of the
//!   time, it takes longer, up to 40 ms; if 40 ms were more than 5 % of the time, longer still. A pass
//!   of re-checking takes between 40 ms and 1.1 s, at 1 % of the time, and longer only if 1.1 s were
//!   more than 5 %.
//! - A wait makes one of the two, for 3 µs, or for 5 % of the time between two waits, up to 15 µs. So
//!   a process that makes few waits needs more time for a pass.
//! - If waits come in bursts, 8 ms of the time before a burst count, and its first wait leaves its
//!   checks to the second one, when the caches are warm again.
//! - A wait that blocks makes one pass of each, in 10 and 40 ms or at 2 and 3 % of the time. While it
//!   stays blocked a pass takes 1.1 s, and so does each pass of a relaxed audit. When its time is
//!   up, it compares once more, for 5 % of the time that it was blocked.

use std::time::Duration;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;

/// The time of a pass in a wait that stays blocked, or of a relaxed audit.
const IDLE_PASS: u64 = 1_100 * MILLISECOND;
/// A check takes 1 % of the time ...
const GENTLE: u64 = 100;
/// ... or at most 5 %.
const AT_MOST: u64 = 20;
/// A burst of waits ends when there was none for longer than this.
const GAP: u64 = 8 * MILLISECOND;
/// What a wait spends at its beginning: at least, and at most.
const SLICE: u64 = 3 * MICROSECOND;
const LONG_SLICE: u64 = 15 * MICROSECOND;
/// What a wait spends at a time after it has blocked, which was for at least 1 ms, and while it stays
/// blocked.
const BLOCKED_SLICE: u64 = 50 * MICROSECOND;
const IDLE_SLICE: u64 = 200 * MICROSECOND;
/// If both checks are due, this many waits compare for each one that re-checks.
const TURNS: u8 = 4;

const COMPARING: Limits = Limits {
    pass: 10 * MILLISECOND,
    gentle_pass: 40 * MILLISECOND,
    blocked: 50,
    few: 8,
    worth_waking: 256,
    cost: 40,
};
const RECHECKING: Limits = Limits {
    pass: 40 * MILLISECOND,
    gentle_pass: IDLE_PASS,
    blocked: 33,
    few: 2,
    worth_waking: 64,
    cost: 250,
};

struct Limits {
    /// The least time of a pass, in nanoseconds.
    pass: u64,
    /// The time of a pass above which the check gets more than 1 % of the time.
    gentle_pass: u64,
    /// After a wait has begun to block, the check takes at most this fraction of the time: 1 / n.
    blocked: u64,
    /// The least number of checks at a time.
    few: u64,
    /// The number of checks for which a blocked wait wakes up.
    worth_waking: u64,
    /// Nanoseconds of a check, until they are measured.
    cost: u64,
}

pub struct Audit {
    is_relaxed: bool,
    /// The time up to which it was credited to the checks, in nanoseconds.
    credited: u64,
    /// The number of waits, now and at that time.
    waits: u32,
    waits_credited: u32,
    /// The next wait makes checks, whatever the time.
    is_expedited: bool,
    /// Counts the waits in which both checks were due.
    turn: u8,
    /// What a wait spends at its beginning, in nanoseconds.
    slice: u64,
    /// The last wait that has made checks after it had blocked.
    last_blocked: u32,
    comparing: Pace,
    rechecking: Pace,
}

/// The most checks to make now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub compare: usize,
    pub recheck: usize,
    /// The time for each of the two, in nanoseconds.
    pub slice: u64,
}

/// Checks that were made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    pub checks: usize,
    pub nanoseconds: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Waits follow each other.
    Frequent,
    /// A wait has begun to block.
    Blocked,
    /// A wait stays blocked, or the audit is relaxed.
    Idle,
}

impl Audit {
    /// Time counts from the first wait on, and not while the entries are installed.
    pub fn new(is_relaxed: bool) -> Self {
        Self {
            is_relaxed,
            credited: u64::MAX,
            waits: 0,
            waits_credited: 0,
            is_expedited: false,
            turn: 0,
            slice: SLICE,
            last_blocked: 0,
            comparing: Pace::new(&COMPARING),
            rechecking: Pace::new(&RECHECKING),
        }
    }

    /// Counts a wait that begins now. Returns whether checks may be due.
    #[inline]
    pub fn begin(&mut self, now: u64) -> bool {
        self.waits = self.waits.wrapping_add(1);
        now != self.credited || self.is_expedited
    }

    /// Has the next wait make its checks.
    pub fn expedite(&mut self) {
        self.is_expedited = true;
    }

    /// The checks of `len` entries in a wait that begins.
    pub fn due(&mut self, now: u64, len: usize) -> Due {
        let mut is_postponed = false;
        let mut elapsed = now.saturating_sub(self.credited);
        if elapsed > 0 {
            let waits = self.waits.wrapping_sub(self.waits_credited).max(1);
            self.waits_credited = self.waits;
            self.slice = (elapsed / u64::from(waits) / AT_MOST).clamp(SLICE, LONG_SLICE);
            if elapsed > GAP && waits > 1 {
                is_postponed = true;
                // A relaxed pass takes longer than that.
                elapsed = if self.is_relaxed { elapsed } else { GAP };
            }
        }
        self.credited = now;
        self.is_expedited = is_postponed;
        if len == 0 {
            return Due::default();
        }
        let mode = if self.is_relaxed { Mode::Idle } else { Mode::Frequent };
        let (mut compare, mut recheck) = self.both_due([mode; 2], len, elapsed, self.slice);
        if is_postponed {
            return Due::default();
        }
        if compare > 0 && recheck > 0 {
            self.turn = (self.turn + 1) % TURNS;
            if self.turn == 0 {
                compare = 0
            } else {
                recheck = 0
            }
            self.is_expedited = true;
        }
        Due { compare, recheck, slice: self.slice }
    }

    /// The checks of `len` entries in a wait that was blocked until now.
    pub fn due_blocked(&mut self, now: u64, len: usize) -> Due {
        if self.last_blocked != self.waits {
            self.last_blocked = self.waits;
            self.comparing.in_block = 0;
            self.rechecking.in_block = 0;
        }
        let elapsed = now.saturating_sub(self.credited);
        self.credited = now;
        self.waits_credited = self.waits;
        if len == 0 {
            return Due::default();
        }
        let modes = self.blocked_modes(len as u64);
        let slice = if modes[1] == Mode::Idle { IDLE_SLICE } else { BLOCKED_SLICE };
        let (compare, recheck) = self.both_due(modes, len, elapsed, slice);
        Due { compare, recheck, slice }
    }

    /// The checks of `len` entries at the end of a wait that was blocked for `blocked` nanoseconds, and
    /// has no events.
    pub fn due_last(&self, blocked: u64, len: usize) -> Due {
        let slice = blocked / AT_MOST;
        let is_worth_it = slice >= self.comparing.limits.few * self.comparing.cost;
        Due { compare: if is_worth_it { len } else { 0 }, recheck: 0, slice }
    }

    fn both_due(
        &mut self,
        modes: [Mode; 2],
        len: usize,
        elapsed: u64,
        slice: u64,
    ) -> (usize, usize) {
        let compare = self.comparing.due_of(modes[0], len as u64, elapsed, slice);
        let recheck = self.rechecking.due_of(modes[1], len as u64, elapsed, slice);
        (compare as usize, recheck as usize)
    }

    /// Records the checks that were made of `len` entries.
    pub fn record(&mut self, compared: Made, rechecked: Made, len: usize) {
        self.is_expedited |= self.comparing.record(compared, len as u64);
        self.is_expedited |= self.rechecking.record(rechecked, len as u64);
    }

    /// The time to block before the next checks.
    pub fn pause(&self, len: usize) -> Duration {
        let len = len.max(1) as u64;
        let [compare, recheck] = self.blocked_modes(len);
        self.comparing.pause(compare, len).min(self.rechecking.pause(recheck, len))
    }

    fn blocked_modes(&self, len: u64) -> [Mode; 2] {
        [&self.comparing, &self.rechecking].map(|pace| {
            let has_passed = self.last_blocked == self.waits && pace.in_block >= len;
            if self.is_relaxed || has_passed { Mode::Idle } else { Mode::Blocked }
        })
    }
}

/// The pace of one of the two checks.
struct Pace {
    limits: &'static Limits,
    /// Nanoseconds of the credited time that were not used for checks.
    unused: u64,
    /// The time of the pass that they are part of.
    pass: u64,
    /// Nanoseconds of a check, as measured.
    cost: u64,
    /// Checks made since the wait in progress began to block.
    in_block: u64,
}

impl Pace {
    fn new(limits: &'static Limits) -> Self {
        Self { limits, unused: 0, pass: limits.pass, cost: limits.cost, in_block: 0 }
    }

    /// How long a pass over `len` entries takes.
    fn pass(&self, mode: Mode, len: u64) -> u64 {
        let full = len * self.cost;
        match mode {
            Mode::Frequent => {
                (GENTLE * full).clamp(self.limits.pass, self.limits.gentle_pass).max(AT_MOST * full)
            }
            Mode::Blocked => self.limits.pass.max(self.limits.blocked * full),
            Mode::Idle => IDLE_PASS.max(AT_MOST * full),
        }
    }

    /// How many checks are due after some time, as far as there is time for them now.
    fn due_of(&mut self, mode: Mode, len: u64, elapsed: u64, slice: u64) -> u64 {
        self.pass = self.pass(mode, len);
        // More than one pass is never due.
        self.unused = (self.unused + elapsed).min(self.pass);
        self.due(len).min((slice / self.cost).max(self.limits.few))
    }

    fn due(&self, len: u64) -> u64 {
        let due = (u128::from(len) * u128::from(self.unused) / u128::from(self.pass)) as u64;
        if due < self.limits.few.min(len) { 0 } else { due }
    }

    /// Whether more checks are due than these.
    fn record(&mut self, made: Made, len: u64) -> bool {
        let checks = made.checks as u64;
        if checks > 0 {
            self.unused = self.unused.saturating_sub(checks.saturating_mul(self.pass) / len.max(1));
            self.in_block += checks;
            let cost = (made.nanoseconds / checks).clamp(10, 20_000);
            self.cost = (7 * self.cost + cost) / 8;
        }
        self.due(len) > 0
    }

    fn pause(&self, mode: Mode, len: u64) -> Duration {
        let pass = self.pass(mode, len);
        let worth_waking = if mode == Mode::Idle { 512 } else { self.limits.worth_waking };
        let pause = (pass * worth_waking / len).clamp(MILLISECOND, pass);
        Duration::from_nanos(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000 * MILLISECOND;
    const TICK: u64 = 4 * MILLISECOND;

    /// What a comparison and a re-check cost.
    #[derive(Clone, Copy)]
    struct Costs(u64, u64);

    const CHEAP: Costs = Costs(30, 200);
    const DEAR: Costs = Costs(600, 1_500);

    /// As after a wait at that time.
    fn begun(now: u64, is_relaxed: bool) -> Audit {
        Audit { credited: now, ..Audit::new(is_relaxed) }
    }

    #[test]
    fn nothing_is_due_for_the_time_before_the_first_wait() {
        let mut audit = Audit::new(false);
        assert!(audit.begin(SECOND));
        let due = audit.due(SECOND, 1_000);
        assert_eq!((due.compare, due.recheck), (0, 0));
        assert!(audit.due(SECOND + TICK, 1_000).compare > 0);
    }

    /// When checks were made, and how many of each.
    #[derive(Debug, Default)]
    struct Log {
        made: Vec<(u64, usize, usize)>,
        /// The most nanoseconds that one wait took for them.
        longest: u64,
    }

    impl Log {
        /// Makes the checks that are due, as the engine does.
        fn check(&mut self, audit: &mut Audit, now: u64, due: Due, len: usize, costs: Costs) {
            let allowed = |most: usize, cost| most.min((due.slice / cost) as usize + 4);
            let (compare, recheck) = (allowed(due.compare, costs.0), allowed(due.recheck, costs.1));
            let made = |checks, cost| Made { checks, nanoseconds: checks as u64 * cost };
            let (compared, rechecked) = (made(compare, costs.0), made(recheck, costs.1));
            audit.record(compared, rechecked, len);
            self.longest = self.longest.max(compared.nanoseconds + rechecked.nanoseconds);
            if compare + recheck > 0 {
                self.made.push((now, compare, recheck));
            }
        }

        fn between(&self, start: u64, end: u64) -> (usize, usize) {
            let made = self.made.iter().filter(|(at, ..)| (start..end).contains(at));
            made.fold((0, 0), |sum, made| (sum.0 + made.1, sum.1 + made.2))
        }
    }

    fn one_wait(log: &mut Log, audit: &mut Audit, now: u64, len: usize, costs: Costs) {
        if audit.begin(now) {
            let due = audit.due(now, len);
            log.check(audit, now, due, len, costs);
        }
    }

    /// Makes a wait each `interval` nanoseconds, for ten seconds after a first one.
    fn ask(audit: &mut Audit, len: usize, interval: u64, costs: Costs) -> Log {
        let mut log = Log::default();
        let start = audit.credited / TICK * TICK + TICK;
        for wait in 1..=11 * SECOND / interval {
            if wait == SECOND / interval {
                log = Log::default();
            }
            one_wait(&mut log, audit, start + wait * interval / TICK * TICK, len, costs);
        }
        log
    }

    /// How many milliseconds a pass of each took.
    fn passes(log: &Log, len: usize) -> [f64; 2] {
        let (compared, rechecked) = log.between(0, u64::MAX);
        [compared, rechecked].map(|checks| 10_000.0 * len as f64 / checks as f64)
    }

    #[track_caller]
    fn assert_passes(log: &Log, len: usize, expected: [u64; 2]) {
        let passes = passes(log, len);
        for (pass, expected) in passes.into_iter().zip(expected) {
            let is_right = (0.93..1.07).contains(&(pass / expected as f64));
            assert!(is_right, "{passes:?} instead of {expected}");
        }
    }

    #[test]
    fn passes_take_10_and_40_ms_while_that_is_a_hundredth_of_the_time() {
        for len in [100, 1_000] {
            let log = ask(&mut begun(7, false), len, 20 * MICROSECOND, CHEAP);
            assert_passes(&log, len, [10, 40]);
        }
    }

    /// A pass is made at a tick of the clock.
    #[test]
    fn passes_over_few_take_up_to_a_tick_more() {
        for len in [1, 3, 16] {
            let log = ask(&mut begun(7, false), len, 20 * MICROSECOND, CHEAP);
            let [compare, recheck] = passes(&log, len);
            assert!((9.9..14.1).contains(&compare) && (39.5..44.1).contains(&recheck), "{len}");
        }
    }

    #[test]
    fn passes_over_many_take_a_hundredth_of_the_time() {
        let log = ask(&mut begun(7, false), 10_000, 20 * MICROSECOND, CHEAP);
        assert_passes(&log, 10_000, [30, 200]);
    }

    #[test]
    fn comparing_takes_40_ms_where_a_twentieth_of_the_time_is_enough_for_that() {
        for (len, comparing) in [(1_000, 40), (3_000, 40), (10_000, 120)] {
            let log = ask(&mut begun(7, false), len, 10 * MICROSECOND, DEAR);
            let rechecking = (len as u64 * DEAR.1 / 10_000).clamp(40, 1_100);
            assert_passes(&log, len, [comparing, rechecking]);
        }
    }

    #[test]
    fn at_leisure_a_pass_takes_1100_ms() {
        let log = ask(&mut begun(7, true), 1_000, 20 * MICROSECOND, CHEAP);
        assert_passes(&log, 1_000, [1_100, 1_100]);
    }

    #[test]
    fn a_pass_of_waits_that_are_spaced_takes_little_longer() {
        for (len, interval, most) in [
            (10_000, 100 * MICROSECOND, 50.0),
            (10_000, MILLISECOND, 50.0),
            (1_000, MILLISECOND, 15.0),
            (1_000, 16 * MILLISECOND, 75.0),
            (100, 16 * MILLISECOND, 40.0),
        ] {
            let log = ask(&mut begun(7, false), len, interval, CHEAP);
            let [compare, recheck] = passes(&log, len);
            assert!(compare <= most, "{compare} ms of {len} each {interval} ns");
            assert!(recheck <= 60.0 * most, "{recheck} ms of {len} each {interval} ns");
        }
    }

    #[test]
    fn no_wait_takes_longer_than_a_slice() {
        for costs in [CHEAP, DEAR] {
            // Fewer are not worth it, and one more is made before it is seen that the time is up.
            let most = 8 * costs.0.max(costs.1);
            for (interval, slice) in [
                (MICROSECOND, SLICE),
                (100 * MICROSECOND, 5 * MICROSECOND),
                (MILLISECOND, LONG_SLICE),
                (30 * MILLISECOND, LONG_SLICE),
            ] {
                for len in [100, 9_000] {
                    let log = ask(&mut begun(7, false), len, interval, costs);
                    assert!(log.longest <= slice + most, "{} of {len}", log.longest);
                }
            }
        }
    }

    /// The time between two bursts counts for 8 ms, and their first waits check nothing.
    #[test]
    fn bursts_leave_the_checks_to_their_second_waits() {
        let mut audit = begun(0, false);
        for round in 1..100 {
            let now = round * 32 * MILLISECOND;
            let mut log = Log::default();
            one_wait(&mut log, &mut audit, now, 9_000, CHEAP);
            if round == 1 {
                // No burst came before.
                assert_eq!(log.made.len(), 1);
                (0..500).for_each(|_| one_wait(&mut log, &mut audit, now, 9_000, CHEAP));
                continue;
            }
            assert_eq!(log.made.len(), 0);
            for _ in 0..500 {
                one_wait(&mut log, &mut audit, now, 9_000, CHEAP);
            }
            let spent = log.made.iter().map(|made| made.1 as u64 * 30 + made.2 as u64 * 200);
            let spent = spent.sum::<u64>();
            // 1 % of the time that counts, for each of the two.
            assert!((100_000..=170_000).contains(&spent), "{spent}");
        }
    }

    #[test]
    fn what_a_check_costs_is_measured_within_limits() {
        let made = |checks, nanoseconds| Made { checks, nanoseconds };
        for (measured, expected) in [(0, 10.0), (150, 150.0), (1_000_000, 20_000.0)] {
            let mut audit = begun(0, false);
            for _ in 0..1_000 {
                audit.record(made(10, 10 * measured), Made::default(), 100);
            }
            // Each rounds down.
            assert!((expected - 8.0..=expected).contains(&(audit.comparing.cost as f64)));
            assert_eq!(audit.rechecking.cost, RECHECKING.cost);
        }
        let mut audit = begun(0, false);
        audit.record(Made::default(), made(1, 2_250), 100);
        assert_eq!(audit.rechecking.cost, (7 * RECHECKING.cost + 2_250) / 8);
    }

    #[test]
    fn more_than_one_pass_is_never_due() {
        let mut audit = begun(0, false);
        let mut log = Log::default();
        for _ in 0..1_000 {
            one_wait(&mut log, &mut audit, 10 * SECOND, 1_000, CHEAP);
        }
        let (compared, rechecked) = log.between(0, u64::MAX);
        assert!((900..=1_000).contains(&compared), "{compared}");
        assert!((900..=1_000).contains(&rechecked), "{rechecked}");
        // A clock that goes back.
        one_wait(&mut log, &mut audit, 0, 1_000, CHEAP);
        assert_eq!(log.between(0, u64::MAX), (compared, rechecked));
    }

    #[test]
    fn nothing_is_due_of_nothing() {
        assert_eq!(begun(0, false).due(SECOND, 0), Due::default());
        assert_eq!(begun(0, false).due_blocked(SECOND, 0), Due::default());
    }

    /// Blocks until the next checks each time.
    fn block(audit: &mut Audit, now: &mut u64, len: usize, time: u64) -> Log {
        let mut log = Log::default();
        let end = *now + time;
        audit.begin(*now);
        while *now < end {
            *now += audit.pause(len).as_nanos() as u64;
            let due = audit.due_blocked(*now, len);
            log.check(audit, *now, due, len, CHEAP);
        }
        log
    }

    #[test]
    fn a_wait_that_blocks_makes_a_brisk_pass_of_each_and_then_leisurely_ones() {
        let mut audit = begun(0, false);
        let mut now = 0;
        for _ in 0..2 {
            let start = now;
            let log = block(&mut audit, &mut now, 1_000, 10 * SECOND);
            let (compared, _) = log.between(start, start + 15 * MILLISECOND);
            let (_, rechecked) = log.between(start, start + 50 * MILLISECOND);
            assert!((1_000..1_300).contains(&compared), "{log:?}");
            assert!((1_000..1_300).contains(&rechecked), "{log:?}");
            let (compared, rechecked) = log.between(start + 60 * MILLISECOND, now);
            assert!((8_500..9_500).contains(&compared), "{compared}");
            assert!((8_500..9_500).contains(&rechecked), "{rechecked}");
        }
        // They are brisk again as soon as waits follow each other.
        let log = ask(&mut audit, 1_000, 20 * MICROSECOND, CHEAP);
        assert_passes(&log, 1_000, [10, 40]);
    }

    #[test]
    fn a_wait_that_blocks_spends_a_twentieth_of_the_time_at_most() {
        let mut audit = begun(0, false);
        let mut now = 0;
        let log = block(&mut audit, &mut now, 100_000, SECOND);
        let (compared, rechecked) = log.between(0, SECOND);
        let spent = compared as u64 * CHEAP.0 + rechecked as u64 * CHEAP.1;
        assert!(spent <= SECOND / 19, "{spent}");
    }

    #[test]
    fn a_wait_that_blocks_is_woken_for_as_many_checks_as_are_worth_it() {
        let pause = |len: usize, passes: u64| {
            let mut audit = begun(0, false);
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
    fn a_wait_that_blocks_does_50_microseconds_of_each_at_a_time_and_200_later() {
        let mut audit = begun(0, false);
        let mut now = 0;
        let log = block(&mut audit, &mut now, 20_000, 60 * MILLISECOND);
        assert!(log.longest <= 2 * BLOCKED_SLICE, "{}", log.longest);
        let log = block(&mut audit, &mut now, 20_000, 10 * SECOND);
        assert!((BLOCKED_SLICE..=2 * IDLE_SLICE).contains(&log.longest), "{}", log.longest);
    }

    #[test]
    fn a_wait_whose_time_is_up_compares_for_a_twentieth_of_it() {
        let audit = begun(0, false);
        for (blocked, compare, slice) in [
            (0, 0, 0),
            (MICROSECOND, 0, 50),
            (MILLISECOND, 1_000, 50 * MICROSECOND),
            (300 * MILLISECOND, 1_000, 15 * MILLISECOND),
        ] {
            assert_eq!(audit.due_last(blocked, 1_000), Due { compare, recheck: 0, slice });
        }
    }

    #[test]
    fn at_leisure_the_time_between_bursts_counts() {
        let mut audit = begun(0, true);
        let mut log = Log::default();
        for round in 1..=100 {
            for _ in 0..20 {
                one_wait(&mut log, &mut audit, round * 100 * MILLISECOND, 1_000, CHEAP);
            }
        }
        assert_passes(&log, 1_000, [1_100, 1_100]);
    }
}
