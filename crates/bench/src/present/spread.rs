//! The median and the quartiles of the samples of a point.

pub struct Spread {
    pub lower_quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
}

impl Spread {
    /// `None` if there are no samples.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            lower_quartile: quantile(&sorted, 0.25)?,
            median: quantile(&sorted, 0.5)?,
            upper_quartile: quantile(&sorted, 0.75)?,
        })
    }

    /// Half the interquartile range, the figure after `±`. About half of the samples are this close
    /// to the median.
    pub fn half_width(&self) -> f64 {
        (self.upper_quartile - self.lower_quartile) / 2.0
    }
}

/// Interpolates linearly between two samples.
fn quantile(sorted: &[f64], fraction: f64) -> Option<f64> {
    let rank = fraction * sorted.len().checked_sub(1)? as f64;
    let below = sorted[rank as usize];
    let above = sorted[rank.ceil() as usize];
    Some(below + (above - below) * rank.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_do_not_depend_on_the_order_of_the_samples() {
        let spread = Spread::of(&[50.0, 10.0, 40.0, 20.0, 30.0]).unwrap();
        assert_eq!(
            [spread.lower_quartile, spread.median, spread.upper_quartile],
            [20.0, 30.0, 40.0]
        );
        assert_eq!(spread.half_width(), 10.0);
    }

    #[test]
    fn the_median_of_an_even_number_of_samples_is_the_mean_of_the_middle_two() {
        assert_eq!(Spread::of(&[1.0, 2.0, 4.0, 8.0]).unwrap().median, 3.0);
    }

    #[test]
    fn a_single_sample_has_width_zero() {
        assert_eq!(Spread::of(&[7.0]).unwrap().half_width(), 0.0);
    }

    #[test]
    fn no_samples_have_no_spread() {
        assert!(Spread::of(&[]).is_none());
    }
}
