//! Figures as people write them: in a unit of fitting size, with a comma at the thousands.

use super::spread::Spread;
use crate::report::Unit;

/// A unit to write figures in.
#[derive(Clone, Copy)]
pub struct Scale {
    /// How many of what is counted make one.
    size: f64,
    pub sign: &'static str,
}

impl Unit {
    /// From small to large.
    fn scales(self) -> &'static [Scale] {
        match self {
            Unit::Nanoseconds => &[
                Scale { size: 1.0, sign: "ns" },
                Scale { size: 1e3, sign: "µs" },
                Scale { size: 1e6, sign: "ms" },
                Scale { size: 1e9, sign: "s" },
            ],
            Unit::Bytes => &[
                Scale { size: 1.0, sign: "B" },
                Scale { size: 1e3, sign: "kB" },
                Scale { size: 1e6, sign: "MB" },
            ],
            Unit::PerSecond => &[Scale { size: 1.0, sign: "/s" }],
        }
    }

    /// The largest of which there are at least so many.
    fn scale(self, value: f64, at_least: f64) -> Scale {
        let scales = self.scales();
        let fits = |scale: &&Scale| value.abs() >= scale.size * at_least;
        *scales.iter().rev().find(fits).unwrap_or(&scales[0])
    }

    /// One for figures that stand beside each other: the smallest has two digits or more.
    pub fn scale_for(self, smallest: f64) -> Scale {
        self.scale(smallest, 10.0)
    }

    pub fn is_better(self, value: f64, than: f64) -> bool {
        match self {
            Unit::Nanoseconds | Unit::Bytes => value < than,
            Unit::PerSecond => value > than,
        }
    }

    /// As at the mark of an axis, which is a round figure: 1 µs, 500 kB, 10,000/s.
    pub fn at_mark(self, value: f64) -> String {
        let scale = self.scale(value, 1.0);
        match (value, self) {
            (0.0, _) => "0".into(),
            (_, Unit::PerSecond) => format!("{}/s", plain(value)),
            _ => format!("{} {}", plain(value / scale.size), scale.sign),
        }
    }
}

impl Scale {
    /// Without the sign, and to three digits or a whole.
    pub fn write(self, value: f64) -> String {
        let value = value / self.size;
        thousands(value, self.decimals(value))
    }

    pub fn write_with_sign(self, value: f64) -> String {
        format!("{} {}", self.write(value), self.sign)
    }

    /// The median, and the spread unless it rounds to nothing.
    pub fn write_spread(self, spread: &Spread) -> String {
        let decimals = self.decimals(spread.median / self.size);
        let width = thousands(spread.half_width() / self.size, decimals);
        let median = self.write(spread.median);
        if width.contains(|digit| matches!(digit, '1'..='9')) {
            format!("{median} ±{width}")
        } else {
            median
        }
    }

    fn decimals(self, value: f64) -> usize {
        let is_finest = self.size == 1.0;
        let needs_none = value.abs() >= if is_finest { 10.0 } else { 100.0 };
        if needs_none || is_finest && value.fract() == 0.0 { 0 } else { 1 }
    }
}

/// A figure that isn't measured, such as a count.
pub fn plain(value: f64) -> String {
    let written = thousands(value, 3);
    written.trim_end_matches('0').trim_end_matches('.').into()
}

fn thousands(value: f64, decimals: usize) -> String {
    let written = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = written.split_at(written.find('.').unwrap_or(written.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_at_the_thousands() {
        let written = [0.0, 999.0, 1_000.0, 1_234_567.0, -19_000.0, 0.5, 1.25].map(plain);
        assert_eq!(written, ["0", "999", "1,000", "1,234,567", "−19,000", "0.5", "1.25"]);
    }

    #[test]
    fn the_smallest_figure_of_a_row_has_two_digits_or_more() {
        let sign = |unit: Unit, smallest| unit.scale_for(smallest).sign;
        assert_eq!([3.0, 281.0, 9_999.0].map(|ns| sign(Unit::Nanoseconds, ns)), ["ns"; 3]);
        assert_eq!(sign(Unit::Nanoseconds, 25_300.0), "µs");
        assert_eq!(sign(Unit::Nanoseconds, 14e6), "ms");
        assert_eq!(sign(Unit::Bytes, 97.0), "B");
        assert_eq!(sign(Unit::Bytes, 38_000.0), "kB");
        assert_eq!(sign(Unit::PerSecond, 38e6), "/s");
    }

    #[test]
    fn a_figure_in_a_row_has_three_digits_or_is_whole() {
        let micro = Unit::Nanoseconds.scale_for(25_300.0);
        assert_eq!(micro.write(25_340.0), "25.3");
        assert_eq!(micro.write(1_400_400.0), "1,400");
        assert_eq!(micro.write_with_sign(-1_340.0), "−1.3 µs");
        assert_eq!(Unit::Bytes.scale_for(61.0).write(61.0), "61");
        assert_eq!(Unit::Nanoseconds.scale_for(28.0).write(28.4), "28");
        assert_eq!(Unit::Nanoseconds.scale_for(2.0).write(2.84), "2.8");
    }

    #[test]
    fn the_spread_is_left_out_where_it_rounds_to_nothing() {
        let scale = Unit::Nanoseconds.scale_for(281.0);
        let written = |samples: &[f64]| scale.write_spread(&Spread::of(samples).unwrap());
        assert_eq!(written(&[273.0, 281.0, 289.0]), "281 ±4");
        assert_eq!(written(&[280.9, 281.0, 281.1]), "281");
    }

    #[test]
    fn the_marks_of_an_axis_change_their_unit_at_the_thousand() {
        let time = [0.0, 100.0, 1e3, 2.5e3, 1e4, 1e6].map(|value| Unit::Nanoseconds.at_mark(value));
        assert_eq!(time, ["0", "100 ns", "1 µs", "2.5 µs", "10 µs", "1 ms"]);
        assert_eq!(Unit::Bytes.at_mark(1e3), "1 kB");
        assert_eq!(Unit::PerSecond.at_mark(1e5), "100,000/s");
    }
}
