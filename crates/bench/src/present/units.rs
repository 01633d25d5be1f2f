//! Measured values as text, with a unit of suitable size.

use super::spread::Spread;
use crate::numbers::{format_decimals, format_number};
use crate::report::Unit;

/// A unit with an SI prefix.
#[derive(Clone, Copy)]
pub struct Scale {
    /// One of these in nanoseconds, bytes or events per second.
    size: f64,
    pub symbol: &'static str,
}

impl Unit {
    /// In ascending order.
    fn scales(self) -> &'static [Scale] {
        match self {
            Unit::Nanoseconds => &[
                Scale { size: 1.0, symbol: "ns" },
                Scale { size: 1e3, symbol: "µs" },
                Scale { size: 1e6, symbol: "ms" },
                Scale { size: 1e9, symbol: "s" },
            ],
            Unit::Bytes => &[
                Scale { size: 1.0, symbol: "B" },
                Scale { size: 1e3, symbol: "kB" },
                Scale { size: 1e6, symbol: "MB" },
            ],
            Unit::PerSecond => &[Scale { size: 1.0, symbol: "/s" }],
        }
    }

    /// The largest scale in which the value is at least `minimum`.
    fn scale(self, value: f64, minimum: f64) -> Scale {
        let scales = self.scales();
        let fits = |scale: &&Scale| value.abs() >= scale.size * minimum;
        *scales.iter().rev().find(fits).unwrap_or(&scales[0])
    }

    /// The scale for a column of values: the smallest has at least two digits.
    pub fn scale_for(self, smallest: f64) -> Scale {
        self.scale(smallest, 10.0)
    }

    pub fn is_better(self, value: f64, than: f64) -> bool {
        match self {
            Unit::Nanoseconds | Unit::Bytes => value < than,
            Unit::PerSecond => value > than,
        }
    }

    /// The label of a tick of an axis, a round value: 1 µs, 500 kB, 10,000/s.
    pub fn format_tick(self, value: f64) -> String {
        let scale = self.scale(value, 1.0);
        match (value, self) {
            (0.0, _) => "0".into(),
            (_, Unit::PerSecond) => format!("{}/s", format_number(value)),
            _ => format!("{} {}", format_number(value / scale.size), scale.symbol),
        }
    }
}

impl Scale {
    /// Without the symbol; three digits or an integer.
    pub fn format(self, value: f64) -> String {
        let value = value / self.size;
        format_decimals(value, self.decimals(value))
    }

    pub fn format_with_symbol(self, value: f64) -> String {
        format!("{} {}", self.format(value), self.symbol)
    }

    /// The median, and the spread if it doesn't round to zero.
    pub fn format_spread(self, spread: &Spread) -> String {
        let decimals = self.decimals(spread.median / self.size);
        let width = format_decimals(spread.half_width() / self.size, decimals);
        let median = self.format(spread.median);
        if width.contains(|digit| matches!(digit, '1'..='9')) {
            format!("{median} ±{width}")
        } else {
            median
        }
    }

    fn decimals(self, value: f64) -> usize {
        let is_finest = self.size == 1.0;
        let has_enough_digits = value.abs() >= if is_finest { 10.0 } else { 100.0 };
        if has_enough_digits || is_finest && value.fract() == 0.0 { 0 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_value_of_a_column_has_at_least_two_digits() {
        let symbol = |unit: Unit, smallest| unit.scale_for(smallest).symbol;
        assert_eq!([3.0, 281.0, 9_999.0].map(|ns| symbol(Unit::Nanoseconds, ns)), ["ns"; 3]);
        assert_eq!(symbol(Unit::Nanoseconds, 25_300.0), "µs");
        assert_eq!(symbol(Unit::Nanoseconds, 14e6), "ms");
        assert_eq!(symbol(Unit::Bytes, 97.0), "B");
        assert_eq!(symbol(Unit::Bytes, 38_000.0), "kB");
        assert_eq!(symbol(Unit::PerSecond, 38e6), "/s");
    }

    #[test]
    fn a_value_has_three_digits_or_is_an_integer() {
        let micro = Unit::Nanoseconds.scale_for(25_300.0);
        assert_eq!(micro.format(25_340.0), "25.3");
        assert_eq!(micro.format(1_400_400.0), "1,400");
        assert_eq!(micro.format_with_symbol(-1_340.0), "−1.3 µs");
        assert_eq!(Unit::Bytes.scale_for(61.0).format(61.0), "61");
        assert_eq!(Unit::Nanoseconds.scale_for(28.0).format(28.4), "28");
        assert_eq!(Unit::Nanoseconds.scale_for(2.0).format(2.84), "2.8");
    }

    #[test]
    fn a_spread_that_rounds_to_zero_is_left_out() {
        let scale = Unit::Nanoseconds.scale_for(281.0);
        let text = |samples: &[f64]| scale.format_spread(&Spread::of(samples).unwrap());
        assert_eq!(text(&[273.0, 281.0, 289.0]), "281 ±4");
        assert_eq!(text(&[280.9, 281.0, 281.1]), "281");
    }

    #[test]
    fn ticks_change_their_unit_at_a_thousand() {
        let time =
            [0.0, 100.0, 1e3, 2.5e3, 1e4, 1e6].map(|value| Unit::Nanoseconds.format_tick(value));
        assert_eq!(time, ["0", "100 ns", "1 µs", "2.5 µs", "10 µs", "1 ms"]);
        assert_eq!(Unit::Bytes.format_tick(1e3), "1 kB");
        assert_eq!(Unit::PerSecond.format_tick(1e5), "100,000/s");
    }
}
