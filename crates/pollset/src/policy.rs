//! The policy: decides which engine serves a wait.
//!
//! The cost of poll(2) grows with the registered descriptors, that of epoll with the ready ones. The
//! number that was ready in the last wait decides which of the two is cheaper.
//!
//! To create and fill an epoll instance has a price, too: the ski-rental problem. A set creates an
//! instance once its waits on poll(2) have cost more than epoll would have *by the price of the
//! instance*. So it never costs more than twice as much as the best choice in hindsight, and a set
//! that polls a few times and is dropped never creates one.

use crate::registrations::SMALL;
use crate::settings::Engine;

/// Nanoseconds of a poll(2) with a timeout of 0, by the number of descriptors.
const POLL: &[(usize, u64)] =
    &[(0, 150), (16, 306), (64, 1_064), (1_024, 15_300), (4_096, 166_000), (9_000, 390_000)];
/// Nanoseconds of a wait on epoll with its audit, by the number of ready descriptors.
const EPOLL: &[(usize, u64)] =
    &[(0, 140), (1, 260), (64, 5_000), (1_000, 80_000), (2_250, 430_000), (9_000, 1_650_000)];
/// A poll(2) that may block costs this many times as much.
const BLOCKING: u64 = 4;
/// What a poll(2) adds that polls the epoll instance beside the fallbacks.
const POLL_BESIDE: u64 = 320;
/// The price of an instance, and of each descriptor in it.
const INSTANCE: u64 = 1_000;
const DESCRIPTOR: u64 = 800;
/// The price is multiplied by no more than this after failures.
const MAX_BACKOFF: u32 = 1 << 12;

pub struct Policy {
    forced: Engine,
    /// Nanoseconds by which the waits on poll(2) have been dearer than epoll would have been. If epoll
    /// is forced, the number of waits, for the backoff.
    excess: u64,
    /// By what the price is multiplied, because instances could not be created.
    backoff: u32,
    has_blocked: bool,
    poll: Estimate,
    /// For the number of descriptors that were ready in the last wait.
    epoll: Estimate,
}

/// The last value that was computed from a table.
struct Estimate {
    x: u32,
    nanoseconds: u32,
}

impl Estimate {
    const fn new(points: &[(usize, u64)]) -> Self {
        Self { x: points[0].0 as u32, nanoseconds: points[0].1 as u32 }
    }

    fn at(&mut self, x: usize, points: &[(usize, u64)]) -> u64 {
        if x as u32 != self.x {
            self.x = x as u32;
            self.nanoseconds = interpolate(points, x).try_into().unwrap_or(u32::MAX);
        }
        self.nanoseconds.into()
    }
}

impl Policy {
    pub const fn new(engine: Engine) -> Self {
        Self {
            forced: engine,
            excess: 0,
            backoff: 1,
            has_blocked: false,
            poll: Estimate::new(POLL),
            epoll: Estimate::new(EPOLL),
        }
    }

    /// Whether to create an epoll instance for this number of descriptors.
    #[inline]
    pub fn should_create(&self, descriptors: usize) -> bool {
        match self.forced {
            Engine::Poll => false,
            Engine::Epoll => self.excess + 1 >= self.backoff.into(),
            Engine::Auto => {
                let price = INSTANCE + DESCRIPTOR * descriptors as u64;
                descriptors > SMALL && self.excess > u64::from(self.backoff) * price
            }
        }
    }

    /// The instance has served a wait.
    pub fn served(&mut self) {
        self.excess = 0;
        self.backoff = 1;
    }

    /// No instance could be created, or not for all descriptors. The next attempt comes later.
    pub fn refused(&mut self) {
        self.excess = 0;
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
    }

    /// Whether to use the epoll instance, which has no entry for the `fallbacks`.
    #[inline]
    pub fn should_use(&mut self, descriptors: usize, fallbacks: usize) -> bool {
        match self.forced {
            Engine::Poll => false,
            Engine::Epoll => true,
            Engine::Auto => {
                descriptors > SMALL
                    && self.cost_of_epoll(fallbacks) < self.cost_of_poll(descriptors)
            }
        }
    }

    /// Records a wait. Without an epoll instance, it may have been dearer than with one.
    #[inline]
    pub fn record(
        &mut self,
        descriptors: usize,
        ready: usize,
        has_blocked: bool,
        is_without_epoll: bool,
    ) {
        if is_without_epoll && self.forced != Engine::Auto {
            self.excess += 1;
            return;
        }
        if is_without_epoll && descriptors <= SMALL {
            return; // No instance is created, whatever it has cost.
        }
        self.has_blocked = has_blocked;
        self.epoll.at(ready, EPOLL);
        if is_without_epoll {
            let cost = self.cost_of_poll(descriptors);
            self.excess = (self.excess + cost).saturating_sub(self.cost_of_epoll(0));
        }
    }

    fn cost_of_poll(&mut self, descriptors: usize) -> u64 {
        self.poll.at(descriptors, POLL) * if self.has_blocked { BLOCKING } else { 1 }
    }

    fn cost_of_epoll(&self, fallbacks: usize) -> u64 {
        let beside = if fallbacks == 0 { 0 } else { POLL_BESIDE + interpolate(POLL, fallbacks) };
        beside + u64::from(self.epoll.nanoseconds)
    }
}

/// The value on the line between two points, or beyond the last two.
fn interpolate(points: &[(usize, u64)], x: usize) -> u64 {
    let right = points.partition_point(|&(to, _)| to < x).clamp(1, points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[right - 1], points[right]);
    y0 + (x - x0) as u64 * (y1 - y0) / (x1 - x0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits_until_created(descriptors: usize, ready: usize) -> Option<usize> {
        let mut policy = Policy::new(Engine::Auto);
        (0..100_000).find(|_| {
            let creates = policy.should_create(descriptors);
            policy.record(descriptors, ready, false, true);
            creates
        })
    }

    #[test]
    fn costs_are_those_of_the_table_and_between_them() {
        assert_eq!(interpolate(POLL, 0), 150);
        assert_eq!(interpolate(POLL, 16), 306);
        assert_eq!(interpolate(POLL, 40), 685);
        assert_eq!(interpolate(EPOLL, 1), 260);
        assert!(interpolate(POLL, 18_000) > 2 * interpolate(POLL, 9_000));
    }

    #[test]
    fn a_new_set_creates_no_instance() {
        for descriptors in [1, 8, 64, 20_000] {
            assert!(!Policy::new(Engine::Auto).should_create(descriptors));
        }
    }

    #[test]
    fn small_and_mostly_ready_sets_never_create_one() {
        assert_eq!(waits_until_created(8, 0), None);
        assert_eq!(waits_until_created(16, 8), None);
        assert_eq!(waits_until_created(1_000, 400), None);
        assert_eq!(waits_until_created(9_000, 4_000), None);
    }

    #[test]
    fn a_large_idle_set_creates_one_after_an_excess_of_its_price() {
        for descriptors in [100, 1_000, 9_000] {
            let waits = waits_until_created(descriptors, 1).unwrap() as u64;
            let paid = waits * interpolate(POLL, descriptors);
            let price = INSTANCE + DESCRIPTOR * descriptors as u64;
            assert!((price..2 * price).contains(&paid), "{descriptors}: {paid} for {price}");
        }
    }

    #[test]
    fn the_excess_must_exceed_the_price_and_the_set_be_large() {
        let price = INSTANCE + DESCRIPTOR * 100;
        let policy = |excess, backoff| Policy { excess, backoff, ..Policy::new(Engine::Auto) };
        for backoff in [1, 4] {
            let limit = price * u64::from(backoff);
            assert!(!policy(limit, backoff).should_create(100));
            assert!(policy(limit + 1, backoff).should_create(100));
        }
        // The set was larger before.
        assert!(!policy(price, 1).should_create(SMALL));
        assert!(policy(price, 1).should_create(SMALL + 1));
    }

    #[test]
    fn the_instance_is_used_while_few_are_ready() {
        let mut policy = Policy::new(Engine::Auto);
        for (descriptors, ready, uses_epoll) in [
            (16, 1, true),
            (16, 8, false),
            (1_000, 100, true),
            (1_000, 500, false),
            (9_000, 900, true),
            (9_000, 4_500, false),
        ] {
            policy.record(descriptors, ready, false, false);
            assert_eq!(policy.should_use(descriptors, 0), uses_epoll, "{ready} of {descriptors}");
        }
    }

    #[test]
    fn the_instance_is_used_with_more_ready_if_poll_would_block() {
        let mut policy = Policy::new(Engine::Auto);
        for (blocked, uses_epoll) in [(false, false), (true, true)] {
            policy.record(64, 32, blocked, false);
            assert_eq!(policy.should_use(64, 0), uses_epoll);
        }
    }

    #[test]
    fn fallbacks_cost_a_poll_beside_epoll() {
        let mut policy = Policy::new(Engine::Auto);
        policy.record(1_000, 1, false, false);
        for (fallbacks, uses_epoll) in [(0, true), (1, true), (500, true), (999, false)] {
            assert_eq!(policy.should_use(1_000, fallbacks), uses_epoll, "{fallbacks}");
        }
    }

    #[test]
    fn after_each_failure_the_next_attempt_comes_later() {
        let mut policy = Policy::new(Engine::Epoll);
        assert!(policy.should_create(1));
        policy.refused();
        let waits = |policy: &mut Policy| {
            let mut waits = 0;
            while !policy.should_create(1) {
                policy.record(1, 0, false, true);
                waits += 1;
            }
            waits
        };
        assert_eq!(waits(&mut policy), 1);
        policy.refused();
        assert_eq!(waits(&mut policy), 3);
        policy.refused();
        policy.served();
        assert!(policy.should_create(1));
    }

    #[test]
    fn a_forced_engine_is_the_engine() {
        assert!(!Policy::new(Engine::Poll).should_use(20_000, 0));
        assert!(Policy::new(Engine::Epoll).should_use(1, 0));
    }
}
