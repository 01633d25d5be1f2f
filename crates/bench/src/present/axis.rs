//! Where values lie along an axis.

/// Values the largest of which is so many times the smallest don't fit a linear axis.
const WIDE: f64 = 8.0;

/// A logarithmic axis ends so many times beyond the data.
const MARGIN: f64 = 1.4;

#[derive(Debug, PartialEq)]
pub enum Axis {
    /// From 0.
    Linear {
        end: f64,
    },
    Logarithmic {
        start: f64,
        end: f64,
    },
    /// By decades, but for 0, which lies a decade below the smallest: positions are exponents of 10.
    DecadesAndZero {
        zero: f64,
        end: f64,
    },
}

impl Axis {
    pub fn for_values(values: impl Iterator<Item = f64> + Clone) -> Self {
        let largest = values.clone().fold(0.0, f64::max);
        let smallest = values.clone().filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min);
        let has_zero = values.into_iter().any(|value| value <= 0.0);
        if largest < WIDE * smallest {
            Axis::Linear { end: largest }
        } else if has_zero {
            Axis::DecadesAndZero { zero: smallest.log10().floor() - 1.0, end: largest.log10() }
        } else {
            Axis::Logarithmic { start: smallest / MARGIN, end: largest * MARGIN }
        }
    }

    pub fn position(&self, value: f64) -> f64 {
        match *self {
            Axis::DecadesAndZero { zero, .. } if value > 0.0 => value.log10().max(zero),
            Axis::DecadesAndZero { zero, .. } => zero,
            Axis::Linear { .. } | Axis::Logarithmic { .. } => value,
        }
    }

    /// What lies at the mark.
    pub fn value(&self, position: f64) -> f64 {
        match *self {
            Axis::DecadesAndZero { zero, .. } if position <= zero => 0.0,
            Axis::DecadesAndZero { .. } => 10_f64.powf(position),
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
    fn an_axis_is_linear_where_the_data_spans_little() {
        assert_eq!(axis(&[250.0, 400.0, 281.0]), Axis::Linear { end: 400.0 });
        assert_eq!(axis(&[0.0, 1_000.0, 4_000.0]), Axis::Linear { end: 4_000.0 });
    }

    #[test]
    fn an_axis_is_logarithmic_where_the_data_spans_decades() {
        let Axis::Logarithmic { start, end } = axis(&[150.0, 1.4e6]) else { panic!() };
        assert!(start < 150.0 && end > 1.4e6);
    }

    #[test]
    fn zero_has_a_place_of_its_own_below_the_decades() {
        let axis = axis(&[0.0, 100.0, 1_000.0, 9_000.0]);
        let positions = [0.0, 100.0, 1_000.0].map(|value| axis.position(value));
        assert_eq!(positions, [1.0, 2.0, 3.0]);
        assert_eq!(positions.map(|position| axis.value(position)), [0.0, 100.0, 1_000.0]);
    }

    #[test]
    fn nothing_but_zero_is_linear() {
        assert_eq!(axis(&[0.0]), Axis::Linear { end: 0.0 });
    }
}
