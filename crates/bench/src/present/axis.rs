//! The scale of an axis, chosen by the data.

/// The ratio of the largest to the smallest value from which an axis is logarithmic.
const MAX_LINEAR_RATIO: f64 = 8.0;

/// The factor by which a logarithmic axis extends beyond the data at each end.
const MARGIN: f64 = 1.4;

#[derive(Debug, PartialEq)]
pub enum Axis {
    /// Starts at 0.
    Linear {
        end: f64,
    },
    Logarithmic {
        start: f64,
        end: f64,
    },
    /// Logarithmic, with 0 one decade below the smallest positive value. Positions are exponents of
    /// 10.
    LogarithmicWithZero {
        zero: f64,
        end: f64,
    },
}

impl Axis {
    pub fn for_values(values: impl Iterator<Item = f64> + Clone) -> Self {
        let largest = values.clone().fold(0.0, f64::max);
        let smallest = values.clone().filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min);
        let has_zero = values.into_iter().any(|value| value <= 0.0);
        if largest < MAX_LINEAR_RATIO * smallest {
            Axis::Linear { end: largest }
        } else if has_zero {
            Axis::LogarithmicWithZero { zero: smallest.log10().floor() - 1.0, end: largest.log10() }
        } else {
            Axis::Logarithmic { start: smallest / MARGIN, end: largest * MARGIN }
        }
    }

    pub fn position(&self, value: f64) -> f64 {
        match *self {
            Axis::LogarithmicWithZero { zero, .. } if value > 0.0 => value.log10().max(zero),
            Axis::LogarithmicWithZero { zero, .. } => zero,
            Axis::Linear { .. } | Axis::Logarithmic { .. } => value,
        }
    }

    /// The value at a position: the inverse of [`position`](Self::position).
    pub fn value(&self, position: f64) -> f64 {
        match *self {
            Axis::LogarithmicWithZero { zero, .. } if position <= zero => 0.0,
            Axis::LogarithmicWithZero { .. } => 10_f64.powf(position),
            Axis::Linear { .. } | Axis::Logarithmic { .. } => position,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[f64]) -> Axis {
        Axis::for_values(values.iter().copied())
    }

    #[test]
    fn data_of_one_magnitude_has_a_linear_axis() {
        assert_eq!(axis(&[250.0, 400.0, 281.0]), Axis::Linear { end: 400.0 });
        assert_eq!(axis(&[0.0, 1_000.0, 4_000.0]), Axis::Linear { end: 4_000.0 });
    }

    #[test]
    fn data_over_decades_has_a_logarithmic_axis() {
        let Axis::Logarithmic { start, end } = axis(&[150.0, 1.4e6]) else { panic!() };
        assert!(start < 150.0 && end > 1.4e6);
    }

    #[test]
    fn zero_is_drawn_one_decade_below_the_smallest_positive_value() {
        let axis = axis(&[0.0, 100.0, 1_000.0, 9_000.0]);
        let positions = [0.0, 100.0, 1_000.0].map(|value| axis.position(value));
        assert_eq!(positions, [1.0, 2.0, 3.0]);
        assert_eq!(positions.map(|position| axis.value(position)), [0.0, 100.0, 1_000.0]);
    }

    #[test]
    fn data_of_zeros_has_a_linear_axis() {
        assert_eq!(axis(&[0.0]), Axis::Linear { end: 0.0 });
    }
}
