//! The cost of a call, learnt from a few calls that were timed.

/// Nanoseconds of a call: a fixed part, and a part for each descriptor that it depends on.
///
/// Each sample corrects both parts, and more so the one that accounts for more of the prediction: a
/// sample with one descriptor corrects the fixed part, one with a thousand the other. Where the cost
/// is no straight line (caches, kinds of files), the line is right near the last samples.
#[derive(Clone, Copy)]
pub struct Cost {
    fixed: f32,
    each: f32,
    /// The number of samples, up to [`MEMORY`](Self::MEMORY).
    samples: u8,
}

/// A sample that is dearer counts as this many times the prediction: interrupts and, where the clock
/// runs on, other threads take time. The first two samples may correct an assumption that is wrong.
const MAX_EXCESS: f32 = 2.0;
const MAX_FIRST_EXCESS: f32 = 1_000.0;
/// The least value of a part: from 0, samples could not raise it again.
const MIN: f32 = 1.0;

impl Cost {
    /// A sample corrects the prediction by its difference, divided by this; the first ones by more.
    pub const MEMORY: u8 = 4;

    /// Until there are samples.
    pub const fn assumed(fixed: f32, each: f32) -> Self {
        Self { fixed, each, samples: 0 }
    }

    #[inline]
    pub fn predict(&self, descriptors: f32) -> f32 {
        self.fixed + self.each * descriptors
    }

    /// The number of samples, up to [`MEMORY`](Self::MEMORY).
    pub fn samples(&self) -> u8 {
        self.samples
    }

    /// Adds a sample. Returns whether the prediction was off by more than a quarter.
    pub fn learn(&mut self, descriptors: f32, nanoseconds: f32) -> bool {
        let predicted = self.predict(descriptors);
        let is_new = self.samples < 2;
        self.samples = (self.samples + 1).min(Self::MEMORY);
        let most = predicted * if is_new { MAX_FIRST_EXCESS } else { MAX_EXCESS };
        let difference = nanoseconds.min(most) - predicted;
        let divisor = match self.samples {
            // Interrupts and preemption make a call slower, nothing makes it faster.
            samples if nanoseconds < predicted / 2.0 => f32::from(samples / Self::MEMORY + 1),
            samples => samples.into(),
        };
        let correction = difference / divisor;
        let variable = self.each * descriptors;
        let share = variable * variable / (variable * variable + self.fixed * self.fixed);
        let least = MIN * descriptors;
        let below = (least - variable - correction * share).max(0.0);
        self.fixed = (self.fixed + correction * (1.0 - share) - below).max(MIN);
        if descriptors > 0.0 {
            self.each = (variable + correction * share + below) / descriptors;
        }
        difference.abs() > predicted / 4.0
    }

    /// Forgets the samples for a better one: the time of many descriptors, without a fixed part.
    pub fn replace(&mut self, descriptors: f32, nanoseconds: f32) {
        let each = (nanoseconds / descriptors).max(MIN);
        *self = Self { fixed: MIN, each, samples: Self::MEMORY };
    }

    /// Until there are samples: the fixed part is as assumed, or that of another call if it is dearer.
    pub fn assume(&mut self, assumed: &Self, other: &Self) {
        if self.samples == 0 {
            self.fixed = assumed.fixed.max(other.fixed);
        }
    }
}

/// The costs of an engine.
pub struct Costs {
    /// Of a call that doesn't block.
    pub probe: Cost,
    /// Of a call that may block: processor time.
    pub block: Cost,
}

impl Costs {
    pub const fn assumed(probe: [f32; 2], block: [f32; 2]) -> Self {
        Self { probe: Cost::assumed(probe[0], probe[1]), block: Cost::assumed(block[0], block[1]) }
    }

    pub fn by_kind(&mut self, blocks: bool) -> &mut Cost {
        if blocks { &mut self.block } else { &mut self.probe }
    }

    /// The number of samples of the kind that has more.
    pub fn samples(&self) -> u8 {
        self.probe.samples().max(self.block.samples())
    }

    pub fn predict(&self, descriptors: f32, blocked: f32) -> f32 {
        (1.0 - blocked) * self.probe.predict(descriptors)
            + blocked * self.block.predict(descriptors)
    }
}

#[cfg(test)]
mod tests {
    use super::Cost;

    #[track_caller]
    fn assert_close(cost: &Cost, descriptors: f32, nanoseconds: f32) {
        let predicted = cost.predict(descriptors);
        let ratio = predicted / nanoseconds;
        assert!((0.95..1.05).contains(&ratio), "{predicted} for {nanoseconds}");
    }

    #[test]
    fn first_sample_replaces_the_assumption() {
        for descriptors in [0.0, 1.0, 16.0, 1_000.0] {
            for factor in [0.5, 2.0, 9.0] {
                let mut cost = Cost::assumed(200.0, 20.0);
                let nanoseconds = factor * cost.predict(descriptors);
                cost.learn(descriptors, nanoseconds);
                assert_close(&cost, descriptors, nanoseconds);
            }
        }
    }

    #[test]
    fn sample_of_nothing_is_corrected_later() {
        let mut cost = Cost::assumed(200.0, 20.0);
        cost.learn(16.0, 0.0);
        for _ in 0..50 {
            cost.learn(16.0, 600.0);
        }
        assert_close(&cost, 16.0, 600.0);
    }

    #[test]
    fn samples_with_few_and_with_many_find_both_parts() {
        let mut cost = Cost::assumed(200.0, 100.0);
        for _ in 0..100 {
            for descriptors in [1.0, 1_000.0] {
                cost.learn(descriptors, 700.0 + 40.0 * descriptors);
            }
        }
        for descriptors in [1.0, 10.0, 100.0, 1_000.0] {
            assert_close(&cost, descriptors, 700.0 + 40.0 * descriptors);
        }
    }

    #[test]
    fn later_costs_replace_earlier_ones() {
        let mut cost = Cost::assumed(200.0, 20.0);
        for nanoseconds in [90_000.0, 15_000.0, 45_000.0] {
            for _ in 0..20 {
                cost.learn(1_000.0, nanoseconds);
            }
            assert_close(&cost, 1_000.0, nanoseconds);
        }
    }

    #[test]
    fn single_long_call_doubles_no_prediction() {
        let mut cost = Cost::assumed(200.0, 20.0);
        for _ in 0..10 {
            cost.learn(16.0, 600.0);
        }
        assert!(cost.learn(16.0, 4e6));
        assert!(cost.predict(16.0) < 600.0 * 1.3);
        for _ in 0..10 {
            cost.learn(16.0, 600.0);
        }
        assert_close(&cost, 16.0, 600.0);
    }

    #[test]
    fn a_long_first_sample_is_corrected_by_the_second_one() {
        let mut cost = Cost::assumed(200.0, 20.0);
        cost.learn(16.0, 500_000.0);
        cost.learn(16.0, 600.0);
        assert_close(&cost, 16.0, 600.0);
    }

    #[test]
    fn sample_says_whether_the_prediction_was_right() {
        let mut cost = Cost::assumed(200.0, 20.0);
        assert!(cost.learn(16.0, 1_000.0));
        assert!(!cost.learn(16.0, 1_100.0));
        assert!(!cost.learn(16.0, 900.0));
        assert!(cost.learn(16.0, 700.0));
    }
}
