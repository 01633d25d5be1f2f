//! Compares pollset with the best bare call or peer.

use super::spread::Spread;
use crate::report::{Chart, Series, Unit};

/// Of medians, at one x of a chart.
pub struct Comparison<'a> {
    pub best_other: &'a str,
    /// pollset divided by the best other.
    pub ratio: f64,
    /// pollset minus the best other.
    pub difference: f64,
    pub is_behind: bool,
}

impl<'a> Comparison<'a> {
    /// `None` if there is no point of `ours` or of any other at this x. See [`Chart::others`].
    pub fn at(chart: &'a Chart, ours: &Series, x: f64) -> Option<Self> {
        let ours = median_at(ours, x)?;
        let (best_other, theirs) = chart
            .others()
            .filter_map(|series| Some((series.subject.as_str(), median_at(series, x)?)))
            .reduce(
                |best, other| if chart.unit.is_better(other.1, best.1) { other } else { best },
            )?;
        Some(Self {
            best_other,
            ratio: ours / theirs,
            difference: ours - theirs,
            is_behind: is_behind(chart.unit, ours, theirs),
        })
    }
}

/// Whether pollset is worse by more than 15 %; a time must also be worse by more than 40 ns.
fn is_behind(unit: Unit, ours: f64, theirs: f64) -> bool {
    let allowed = match unit {
        Unit::Nanoseconds => f64::max(40.0, 0.15 * theirs),
        Unit::Bytes | Unit::PerSecond => 0.15 * theirs,
    };
    unit.is_better(theirs, ours) && (ours - theirs).abs() > allowed
}

pub fn median_at(series: &Series, x: f64) -> Option<f64> {
    Some(spread_at(series, x)?.median)
}

pub fn spread_at(series: &Series, x: f64) -> Option<Spread> {
    Spread::of(&series.points.iter().find(|point| point.x == x)?.samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Kind, Point};

    #[test]
    fn a_short_time_is_behind_above_40_ns() {
        assert!(!is_behind(Unit::Nanoseconds, 190.0, 150.0));
        assert!(is_behind(Unit::Nanoseconds, 191.0, 150.0));
    }

    #[test]
    fn a_long_time_is_behind_above_15_percent() {
        assert!(!is_behind(Unit::Nanoseconds, 1_149.0, 1_000.0));
        assert!(is_behind(Unit::Nanoseconds, 1_151.0, 1_000.0));
    }

    #[test]
    fn bytes_are_behind_above_15_percent() {
        assert!(!is_behind(Unit::Bytes, 114.0, 100.0));
        assert!(is_behind(Unit::Bytes, 116.0, 100.0));
    }

    #[test]
    fn a_rate_is_behind_below_85_percent() {
        assert!(!is_behind(Unit::PerSecond, 86_000.0, 100_000.0));
        assert!(is_behind(Unit::PerSecond, 84_000.0, 100_000.0));
    }

    #[test]
    fn better_values_are_not_behind() {
        assert!(!is_behind(Unit::Nanoseconds, 1.0, 1e6));
        assert!(!is_behind(Unit::Bytes, 1.0, 1e6));
        assert!(!is_behind(Unit::PerSecond, 1e6, 1.0));
    }

    #[test]
    fn the_best_other_is_a_bare_call_or_a_peer_with_a_point_at_x() {
        let chart = chart(&[
            ("poll(2)", Kind::Bare, 200.0),
            ("mio", Kind::Peer, 250.0),
            ("pollset", Kind::Ours, 300.0),
            ("pollset, poll forced", Kind::OursForced, 100.0),
            ("epoll(7)", Kind::Reference, 100.0),
        ]);
        let comparison = Comparison::at(&chart, &chart.series[2], 1.0).unwrap();
        assert_eq!(
            (comparison.best_other, comparison.ratio, comparison.difference),
            ("poll(2)", 1.5, 100.0)
        );
        assert!(comparison.is_behind);
        assert!(Comparison::at(&chart, &chart.series[2], 2.0).is_none());
    }

    #[test]
    fn there_is_no_comparison_without_bare_calls_and_peers() {
        let chart = chart(&[
            ("pollset", Kind::Ours, 300.0),
            ("pollset, poll forced", Kind::OursForced, 100.0),
            ("epoll(7)", Kind::Reference, 100.0),
        ]);
        assert!(Comparison::at(&chart, &chart.series[0], 1.0).is_none());
    }

    fn chart(series: &[(&str, Kind, f64)]) -> Chart {
        let series = series.iter().map(|&(subject, kind, sample)| Series {
            subject: subject.into(),
            kind,
            row: None,
            points: vec![Point { x: 1.0, samples: vec![sample] }],
        });
        let mut chart = Chart::new("", "", "", "", Unit::Nanoseconds);
        chart.series = series.collect();
        chart
    }
}
