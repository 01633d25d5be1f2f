//! The one place that chooses the engine of each wait.
//!
//! poll(2) pays for each registered descriptor, epoll for each ready one, and to create and fill an
//! epoll instance has its price. Which is cheaper is told from how many were ready last time.
//!
//! The first instance is bought like skis: a set pays rent on poll(2), and buys when the rent that
//! it has paid *beyond what epoll would have cost* exceeds the price. So it never pays more than
//! twice what the best choice in hindsight would have cost, and a set that is asked a few times
//! and dropped never buys.

use crate::Engine;
use crate::registrations::SMALL;

/// Nanoseconds of a poll(2) with timeout 0, by the number of descriptors.
const POLL: &[(usize, u64)] =
    &[(0, 150), (16, 306), (64, 1_064), (1_024, 15_300), (4_096, 166_000), (9_000, 390_000)];
/// Nanoseconds of a wait on epoll, the audit included, by the number that are ready.
const EPOLL: &[(usize, u64)] =
    &[(0, 140), (1, 260), (64, 5_000), (1_000, 80_000), (2_250, 430_000), (9_000, 1_650_000)];
/// A poll(2) that waits costs as many times more.
const BLOCKING: u64 = 4;
/// What poll(2) adds if an epoll instance is asked by it, beside what is aside.
const ASIDE: u64 = 320;
/// The price of an instance, and of each descriptor in it.
const INSTANCE: u64 = 1_000;
const DESCRIPTOR: u64 = 800;
/// Up to this many times the price is asked, if instances could not be had.
const MOST_RELUCTANT: u32 = 1 << 12;

pub struct Choice {
    forced: Engine,
    /// Nanoseconds.
    rent: u64,
    /// How many times the price an instance must be worth.
    reluctance: u32,
    blocked: bool,
    poll: Estimate,
    /// For as many ready descriptors as there were last time.
    epoll: Estimate,
}

/// The last one made of its kind is kept.
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

impl Choice {
    pub const fn new(engine: Engine) -> Self {
        Self {
            forced: engine,
            rent: 0,
            reluctance: 1,
            blocked: false,
            poll: Estimate::new(POLL),
            epoll: Estimate::new(EPOLL),
        }
    }

    /// Whether to get an epoll instance for `descriptors`.
    #[inline]
    pub fn buys(&self, descriptors: usize) -> bool {
        match self.forced {
            Engine::Poll => false,
            // One wait, one unit of rent.
            Engine::Epoll => self.rent + 1 >= self.reluctance.into(),
            Engine::Auto => {
                let price = INSTANCE + DESCRIPTOR * descriptors as u64;
                descriptors > SMALL && self.rent > u64::from(self.reluctance) * price
            }
        }
    }

    /// The instance has served a wait, so there is no reason for reluctance.
    pub fn served(&mut self) {
        self.rent = 0;
        self.reluctance = 1;
    }

    /// There is no instance to be had, or not for all descriptors. It is tried again, later each
    /// time.
    pub fn refused(&mut self) {
        self.rent = 0;
        self.reluctance = (self.reluctance * 2).min(MOST_RELUCTANT);
    }

    /// Whether to use the instance that there is, with `aside` descriptors that only poll(2) can
    /// ask.
    #[inline]
    pub fn uses_epoll(&mut self, descriptors: usize, aside: usize) -> bool {
        match self.forced {
            Engine::Poll => false,
            Engine::Epoll => true,
            Engine::Auto => {
                descriptors > SMALL && self.cost_of_epoll(aside) < self.cost_of_poll(descriptors)
            }
        }
    }

    /// Takes note of how a wait went; one on poll(2) pays rent if there is no instance.
    #[inline]
    pub fn record(&mut self, descriptors: usize, ready: usize, blocked: bool, pays_rent: bool) {
        if pays_rent && self.forced != Engine::Auto {
            self.rent += 1;
            return;
        }
        if pays_rent && descriptors <= SMALL {
            return; // Whatever it cost, nothing is bought.
        }
        self.blocked = blocked;
        self.epoll.at(ready, EPOLL);
        if pays_rent {
            let paid = self.cost_of_poll(descriptors);
            self.rent = (self.rent + paid).saturating_sub(self.cost_of_epoll(0));
        }
    }

    fn cost_of_poll(&mut self, descriptors: usize) -> u64 {
        self.poll.at(descriptors, POLL) * if self.blocked { BLOCKING } else { 1 }
    }

    fn cost_of_epoll(&self, aside: usize) -> u64 {
        let aside = if aside == 0 { 0 } else { ASIDE + interpolate(POLL, aside) };
        aside + u64::from(self.epoll.nanoseconds)
    }
}

/// Between two points, or beyond the last two.
fn interpolate(points: &[(usize, u64)], x: usize) -> u64 {
    let right = points.partition_point(|&(to, _)| to < x).clamp(1, points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[right - 1], points[right]);
    y0 + (x - x0) as u64 * (y1 - y0) / (x1 - x0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits_until_bought(descriptors: usize, ready: usize) -> Option<usize> {
        let mut choice = Choice::new(Engine::Auto);
        (0..100_000).find(|_| {
            let buys = choice.buys(descriptors);
            choice.record(descriptors, ready, false, true);
            buys
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
    fn a_set_that_is_asked_once_buys_nothing() {
        for descriptors in [1, 8, 64, 20_000] {
            assert!(!Choice::new(Engine::Auto).buys(descriptors));
        }
    }

    #[test]
    fn small_and_mostly_ready_sets_never_buy() {
        assert_eq!(waits_until_bought(8, 0), None);
        assert_eq!(waits_until_bought(16, 8), None);
        assert_eq!(waits_until_bought(1_000, 400), None);
        assert_eq!(waits_until_bought(9_000, 4_000), None);
    }

    #[test]
    fn a_large_idle_set_has_paid_about_the_price_when_it_buys() {
        for descriptors in [100, 1_000, 9_000] {
            let waits = waits_until_bought(descriptors, 1).unwrap() as u64;
            let paid = waits * interpolate(POLL, descriptors);
            let price = INSTANCE + DESCRIPTOR * descriptors as u64;
            assert!((price..2 * price).contains(&paid), "{descriptors}: {paid} for {price}");
        }
    }

    #[test]
    fn it_buys_for_more_than_the_price_and_for_more_than_a_few() {
        let price = INSTANCE + DESCRIPTOR * 100;
        let paid = |rent, reluctance| Choice { rent, reluctance, ..Choice::new(Engine::Auto) };
        for reluctance in [1, 4] {
            let asked = price * u64::from(reluctance);
            assert!(!paid(asked, reluctance).buys(100));
            assert!(paid(asked + 1, reluctance).buys(100));
        }
        // One that was larger when it paid.
        assert!(!paid(price, 1).buys(SMALL));
        assert!(paid(price, 1).buys(SMALL + 1));
    }

    #[test]
    fn the_instance_is_used_while_few_are_ready() {
        let mut choice = Choice::new(Engine::Auto);
        for (descriptors, ready, uses_epoll) in [
            (16, 1, true),
            (16, 8, false),
            (1_000, 100, true),
            (1_000, 500, false),
            (9_000, 900, true),
            (9_000, 4_500, false),
        ] {
            choice.record(descriptors, ready, false, false);
            assert_eq!(choice.uses_epoll(descriptors, 0), uses_epoll, "{ready} of {descriptors}");
        }
    }

    #[test]
    fn more_may_be_ready_where_poll_must_wait() {
        let mut choice = Choice::new(Engine::Auto);
        for (blocked, uses_epoll) in [(false, false), (true, true)] {
            choice.record(64, 32, blocked, false);
            assert_eq!(choice.uses_epoll(64, 0), uses_epoll);
        }
    }

    #[test]
    fn what_is_aside_counts_as_asked_by_poll() {
        let mut choice = Choice::new(Engine::Auto);
        choice.record(1_000, 1, false, false);
        for (aside, uses_epoll) in [(0, true), (1, true), (500, true), (999, false)] {
            assert_eq!(choice.uses_epoll(1_000, aside), uses_epoll, "{aside} aside");
        }
    }

    #[test]
    fn what_could_not_be_had_is_wanted_less_each_time() {
        let mut choice = Choice::new(Engine::Epoll);
        assert!(choice.buys(1));
        choice.refused();
        let waits = |choice: &mut Choice| {
            let mut waits = 0;
            while !choice.buys(1) {
                choice.record(1, 0, false, true);
                waits += 1;
            }
            waits
        };
        assert_eq!(waits(&mut choice), 1);
        choice.refused();
        assert_eq!(waits(&mut choice), 3);
        choice.refused();
        choice.served();
        assert!(choice.buys(1));
    }

    #[test]
    fn a_forced_engine_is_the_engine() {
        assert!(!Choice::new(Engine::Poll).uses_epoll(20_000, 0));
        assert!(Choice::new(Engine::Epoll).uses_epoll(1, 0));
    }
}
