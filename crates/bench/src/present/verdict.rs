//! How ours does beside the best of the others.

use super::spread::Spread;
use crate::report::{Chart, Series, Unit};

/// At one x of a chart.
pub struct Verdict<'a> {
    pub best_other: &'a str,
    /// Ours divided by theirs.
    pub ratio: f64,
    /// Ours less theirs.
    pub difference: f64,
    pub is_miss: bool,
}

impl<'a> Verdict<'a> {
    /// `None` where ours or every other has no point. A bare call is one of the others, ours with
    /// something forced and a reference aren't.
    pub fn on(ours: &Series, chart: &'a Chart, x: f64) -> Option<Self> {
        let ours = median_at(ours, x)?;
        let (best_other, theirs) = chart
            .others()
            .filter_map(|series| Some((series.contestant.as_str(), median_at(series, x)?)))
            .reduce(
                |best, other| if chart.unit.is_better(other.1, best.1) { other } else { best },
            )?;
        Some(Self {
            best_other,
            ratio: ours / theirs,
            difference: ours - theirs,
            is_miss: is_miss(chart.unit, ours, theirs),
        })
    }
}

/// What is asked of ours: to be behind the best of the others by no more than 15 % of theirs or, of
/// times, 40 ns, if that is more.
fn is_miss(unit: Unit, ours: f64, theirs: f64) -> bool {
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
    fn a_short_wait_may_be_40_ns_behind_but_no_more() {
        assert!(!is_miss(Unit::Nanoseconds, 190.0, 150.0));
        assert!(is_miss(Unit::Nanoseconds, 191.0, 150.0));
    }

    #[test]
    fn a_long_wait_may_be_15_percent_behind_but_no_more() {
        assert!(!is_miss(Unit::Nanoseconds, 1_149.0, 1_000.0));
        assert!(is_miss(Unit::Nanoseconds, 1_151.0, 1_000.0));
    }

    #[test]
    fn bytes_are_given_no_40() {
        assert!(!is_miss(Unit::Bytes, 114.0, 100.0));
        assert!(is_miss(Unit::Bytes, 116.0, 100.0));
    }

    #[test]
    fn of_things_a_second_fewer_are_behind() {
        assert!(!is_miss(Unit::PerSecond, 86_000.0, 100_000.0));
        assert!(is_miss(Unit::PerSecond, 84_000.0, 100_000.0));
    }

    #[test]
    fn ahead_is_no_miss_however_far() {
        assert!(!is_miss(Unit::Nanoseconds, 1.0, 1e6));
        assert!(!is_miss(Unit::Bytes, 1.0, 1e6));
        assert!(!is_miss(Unit::PerSecond, 1e6, 1.0));
    }

    #[test]
    fn the_best_is_among_bare_calls_and_peers_that_have_a_point_there() {
        let chart = chart(&[
            ("poll(2)", Kind::Bare, 200.0),
            ("mio", Kind::Peer, 250.0),
            ("pollset", Kind::Ours, 300.0),
            ("pollset, poll forced", Kind::OursForced, 100.0),
            ("epoll(7)", Kind::Reference, 100.0),
        ]);
        let verdict = Verdict::on(&chart.series[2], &chart, 1.0).unwrap();
        assert_eq!(
            (verdict.best_other, verdict.ratio, verdict.difference),
            ("poll(2)", 1.5, 100.0)
        );
        assert!(verdict.is_miss);
        assert!(Verdict::on(&chart.series[2], &chart, 2.0).is_none());
    }

    #[test]
    fn there_is_no_verdict_on_ours_without_others() {
        let chart = chart(&[
            ("pollset", Kind::Ours, 300.0),
            ("pollset, poll forced", Kind::OursForced, 100.0),
            ("epoll(7)", Kind::Reference, 100.0),
        ]);
        assert!(Verdict::on(&chart.series[0], &chart, 1.0).is_none());
    }

    fn chart(series: &[(&str, Kind, f64)]) -> Chart {
        let series = series.iter().map(|&(contestant, kind, sample)| Series {
            contestant: contestant.into(),
            kind,
            points: vec![Point { x: 1.0, samples: vec![sample] }],
        });
        let mut chart = Chart::new("", "", "", "", Unit::Nanoseconds);
        chart.series = series.collect();
        chart
    }
}
