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
fn frequent_waits(audit: &mut Audit, len: usize, interval: u64, costs: Costs) -> Log {
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
        let log = frequent_waits(&mut begun(7, false), len, 20 * MICROSECOND, CHEAP);
        assert_passes(&log, len, [10, 40]);
    }
}

/// A pass is made at a tick of the clock.
#[test]
fn passes_over_few_take_up_to_a_tick_more() {
    for len in [1, 3, 16] {
        let log = frequent_waits(&mut begun(7, false), len, 20 * MICROSECOND, CHEAP);
        let [compare, recheck] = passes(&log, len);
        assert!((9.9..14.1).contains(&compare) && (39.5..44.1).contains(&recheck), "{len}");
    }
}

#[test]
fn passes_over_many_take_a_hundredth_of_the_time() {
    let log = frequent_waits(&mut begun(7, false), 10_000, 20 * MICROSECOND, CHEAP);
    assert_passes(&log, 10_000, [30, 200]);
}

#[test]
fn comparing_takes_40_ms_where_a_twentieth_of_the_time_is_enough_for_that() {
    for (len, comparing) in [(1_000, 40), (3_000, 40), (10_000, 120)] {
        let log = frequent_waits(&mut begun(7, false), len, 10 * MICROSECOND, DEAR);
        let rechecking = (len as u64 * DEAR.1 / 10_000).clamp(40, 1_100);
        assert_passes(&log, len, [comparing, rechecking]);
    }
}

#[test]
fn a_relaxed_pass_takes_1100_ms() {
    let log = frequent_waits(&mut begun(7, true), 1_000, 20 * MICROSECOND, CHEAP);
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
        let log = frequent_waits(&mut begun(7, false), len, interval, CHEAP);
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
                let log = frequent_waits(&mut begun(7, false), len, interval, costs);
                assert!(log.longest <= slice + most, "{} of {len}", log.longest);
            }
        }
    }
}

/// The time between two bursts counts for 8 ms, and their first waits check nothing.
#[test]
fn the_second_wait_of_a_burst_makes_the_checks() {
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
fn the_cost_of_a_check_is_measured_within_limits() {
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
fn a_blocked_wait_makes_a_quick_pass_of_each_and_then_slow_ones() {
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
    // Quick again as soon as waits follow each other.
    let log = frequent_waits(&mut audit, 1_000, 20 * MICROSECOND, CHEAP);
    assert_passes(&log, 1_000, [10, 40]);
}

#[test]
fn a_blocked_wait_spends_a_twentieth_of_the_time_at_most() {
    let mut audit = begun(0, false);
    let mut now = 0;
    let log = block(&mut audit, &mut now, 100_000, SECOND);
    let (compared, rechecked) = log.between(0, SECOND);
    let spent = compared as u64 * CHEAP.0 + rechecked as u64 * CHEAP.1;
    assert!(spent <= SECOND / 19, "{spent}");
}

#[test]
fn a_blocked_wait_wakes_up_for_a_number_of_checks() {
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
fn a_wait_after_frequent_waits_blocks_for_10_ms_before_its_first_checks() {
    let first_pause = |time_of_a_wait| {
        let mut audit = begun(0, false);
        frequent_waits(&mut audit, 10_000, time_of_a_wait, CHEAP);
        audit.pause(10_000)
    };
    assert_eq!(first_pause(20 * MICROSECOND), Duration::from_millis(10));
    assert_eq!(first_pause(900 * MICROSECOND), Duration::from_millis(10));
    assert_eq!(first_pause(2 * MILLISECOND), Duration::from_millis(1));

    let mut audit = begun(0, false);
    frequent_waits(&mut audit, 10_000, 20 * MICROSECOND, CHEAP);
    let mut now = audit.credited + 10 * MILLISECOND;
    audit.due_blocked(now, 10_000);
    assert_eq!(audit.pause(10_000), Duration::from_millis(1), "the second pause");

    // It makes up for the longer first pause.
    let mut audit = begun(0, false);
    frequent_waits(&mut audit, 10_000, 20 * MICROSECOND, CHEAP);
    now = audit.credited;
    let log = block(&mut audit, &mut now, 10_000, 50 * MILLISECOND);
    let (compared, _) = log.between(0, u64::MAX);
    assert!(compared >= 10_000, "{compared}");
}

#[test]
fn a_blocked_wait_checks_for_50_microseconds_at_a_time_and_200_later() {
    let mut audit = begun(0, false);
    let mut now = 0;
    let log = block(&mut audit, &mut now, 20_000, 60 * MILLISECOND);
    assert!(log.longest <= 2 * BLOCKED_SLICE, "{}", log.longest);
    let log = block(&mut audit, &mut now, 20_000, 10 * SECOND);
    assert!((BLOCKED_SLICE..=2 * IDLE_SLICE).contains(&log.longest), "{}", log.longest);
}

#[test]
fn a_wait_whose_time_is_up_compares_for_a_twentieth_of_the_time() {
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
fn a_relaxed_audit_counts_the_time_between_bursts() {
    let mut audit = begun(0, true);
    let mut log = Log::default();
    for round in 1..=100 {
        for _ in 0..20 {
            one_wait(&mut log, &mut audit, round * 100 * MILLISECOND, 1_000, CHEAP);
        }
    }
    assert_passes(&log, 1_000, [1_100, 1_100]);
}
