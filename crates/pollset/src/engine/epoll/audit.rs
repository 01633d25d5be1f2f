//! Decides how many entries to check at the beginning of a wait, and for how long. Checks are due
//! when the coarse clock has ticked since the last wait.
//!
//! There are two checks. *Comparing* calls poll(2) for some entries, with a timeout of 0: it finds
//! closed numbers (A), and events that epoll has missed (D). *Re-checking* repeats `EPOLL_CTL_MOD`,
//! which is dearer, and finds numbers that mean another file now (C). A *pass* checks all entries
//! once.
//!
//! | a pass of | comparing | re-checking |
//! |---|---|---|
//! | takes at least | 10 ms | 40 ms |
//! | takes 1 % of the time, and so longer than that, up to | 40 ms | 1.1 s |
//! | takes at most 5 % of the time, and so even longer | as long as that takes | the same |
//! | in a wait that begins to block takes at least, and at most of the time | 10 ms, 2 % | 40 ms, 3 % |
//! | in a wait that stays blocked, or of a relaxed audit, takes | 1.1 s | 1.1 s |
//!
//! - A wait makes one of the two, for 3 µs, or for 5 % of the time between two waits, up to 15 µs. So
//!   a process that makes few waits needs more time for a pass. Besides, it compares up to 32 listed
//!   entries.
//! - If waits come in bursts, 8 ms of the time before a burst count, and its first wait leaves its
//!   checks to the second one, when the caches are warm again.
//! - While waits follow each other, the next one blocks for 10 ms before its first checks. A timer
//!   that expires before the next tick of the kernel's clock makes the kernel program the hardware
//!   twice, which takes up to 6 µs in a virtual machine: more than the wait itself. With 10 ms it
//!   rarely does.
//! - When the time of a blocked wait is up, it compares once more, for 5 % of the time that it was
//!   blocked.

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
/// Waits follow each other if one begins each millisecond or more often.
const FREQUENT: u64 = MILLISECOND;
/// How long the next one blocks before its first checks: a tick of the slowest clocks (100 Hz).
const FIRST_PAUSE: Duration = Duration::from_millis(10);
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
    /// A pass that would take longer than this gets up to 5 % of the time.
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
    /// The clock when time was last credited to the checks, in nanoseconds.
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
    /// Waits have followed each other until the last credit.
    is_frequent: bool,
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
            is_frequent: false,
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
            let per_wait = elapsed / u64::from(waits);
            self.slice = (per_wait / AT_MOST).clamp(SLICE, LONG_SLICE);
            self.is_frequent = per_wait <= FREQUENT;
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

    /// Nanoseconds of comparing an entry, as measured.
    pub fn comparing_cost(&self) -> u64 {
        self.comparing.cost
    }

    /// The time to block before the next checks.
    pub fn pause(&self, len: usize) -> Duration {
        let len = len.max(1) as u64;
        let [compare, recheck] = self.blocked_modes(len);
        let pause = self.comparing.pause(compare, len).min(self.rechecking.pause(recheck, len));
        let is_first = self.last_blocked != self.waits;
        if is_first && self.is_frequent { pause.max(FIRST_PAUSE) } else { pause }
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
mod tests;
