//! Compares pollset with its own engines, forced.

use super::comparison::median_at;
use super::table::x_values;
use crate::report::{Chart, Kind, Report, Row, Series, Target};

/// At one x of a chart with a [`Target`], in one row of it.
pub struct Regret<'a> {
    pub chart: &'a Chart,
    pub row: Option<&'a Row>,
    pub x: f64,
    /// The median of pollset divided by the smaller median of the forced engines.
    pub ratio: f64,
    pub is_over_target: bool,
}

impl<'a> Regret<'a> {
    /// `None` if the chart has no target, or pollset or its forced engines have no point here.
    pub fn at(chart: &'a Chart, row: Option<&'a Row>, x: f64) -> Option<Self> {
        let target = chart.target?;
        let medians = |kind| {
            let is_of_kind = move |series: &&Series| series.kind == kind;
            series_of(chart, row).filter(is_of_kind).filter_map(move |one| median_at(one, x))
        };
        let ours = medians(Kind::Ours).next()?;
        let better = medians(Kind::OursForced).reduce(f64::min)?;
        let is_over_target = is_over(target, ours, better);
        Some(Self { chart, row, x, ratio: ours / better, is_over_target })
    }

    /// Of all points of the report.
    pub fn all(report: &Report) -> Vec<Regret<'_>> {
        let mut regrets = Vec::new();
        for chart in &report.charts {
            let xs = x_values(chart);
            for row in rows(chart) {
                regrets.extend(xs.iter().filter_map(|&x| Regret::at(chart, row, x)));
            }
        }
        regrets
    }

    /// The worst first.
    pub fn over_target(mut regrets: Vec<Regret<'a>>) -> Vec<Regret<'a>> {
        regrets.retain(|regret| regret.is_over_target);
        regrets.sort_by(|one, other| other.ratio.total_cmp(&one.ratio));
        regrets
    }
}

/// Whether the time exceeds both limits.
fn is_over(target: Target, ours: f64, better: f64) -> bool {
    ours > target.ratio * better && ours - better > target.difference
}

/// Such as "3 points, 1 over the target. Regret: at most 1.50, mean 1.20, geometric mean 1.18."
/// `None` if there are no points.
pub fn summary(regrets: &[Regret]) -> Option<String> {
    let ratios = || regrets.iter().map(|regret| regret.ratio);
    let count = regrets.len();
    let over = regrets.iter().filter(|regret| regret.is_over_target).count();
    let worst = ratios().reduce(f64::max)?;
    let mean = ratios().sum::<f64>() / count as f64;
    let geometric_mean = (ratios().map(f64::ln).sum::<f64>() / count as f64).exp();
    Some(format!(
        "{count} points, {over} over the target. \
         Regret: at most {worst:.2}, mean {mean:.3}, geometric mean {geometric_mean:.3}."
    ))
}

/// The rows of a heat map, in the order of the series. Any other chart has one, `None`.
pub fn rows(chart: &Chart) -> Vec<Option<&Row>> {
    let mut rows = Vec::new();
    for series in &chart.series {
        let row = series.row.as_ref();
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

pub fn series_of<'a>(chart: &'a Chart, row: Option<&'a Row>) -> impl Iterator<Item = &'a Series> {
    chart.series.iter().filter(move |series| series.row.as_ref() == row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Unit;

    const TARGET: Target = Target { ratio: 1.1, difference: 40.0 };

    #[test]
    fn a_point_is_over_the_target_if_it_exceeds_both_limits() {
        assert!(is_over(TARGET, 1_101.0, 1_000.0));
        assert!(!is_over(TARGET, 1_099.0, 1_000.0));
        assert!(is_over(TARGET, 141.0, 100.0));
        assert!(!is_over(TARGET, 140.0, 100.0));
        assert!(!is_over(TARGET, 50.0, 100.0));
    }

    #[test]
    fn the_regret_is_relative_to_the_better_forced_engine_of_the_row() {
        let chart = chart();
        let [one, all] = rows(&chart)[..] else { panic!() };
        let ratio = |row, x| Regret::at(&chart, row, x).map(|regret| regret.ratio);
        assert_eq!([ratio(one, 8.0), ratio(one, 64.0)], [Some(0.5), Some(2.0)]);
        assert_eq!([ratio(all, 8.0), ratio(all, 64.0)], [None, Some(1.5)]);
    }

    #[test]
    fn a_chart_without_a_target_has_no_regret() {
        let chart = Chart { target: None, ..chart() };
        assert!(Regret::at(&chart, rows(&chart)[0], 8.0).is_none());
    }

    #[test]
    fn points_over_the_target_are_in_descending_order_of_their_regret() {
        let over = Regret::over_target(regrets(&[1.05, 1.2, 3.0, 0.9, 1.5]));
        let ratios: Vec<f64> = over.iter().map(|regret| regret.ratio).collect();
        assert_eq!(ratios, [3.0, 1.5, 1.2]);
    }

    #[test]
    fn the_summary_has_the_worst_regret_and_the_means() {
        let expected = "3 points, 2 over the target. \
                        Regret: at most 4.00, mean 2.333, geometric mean 2.000.";
        assert_eq!(summary(&regrets(&[1.0, 4.0, 2.0])).unwrap(), expected);
        assert!(summary(&[]).is_none());
    }

    fn regrets(ratios: &[f64]) -> Vec<Regret<'static>> {
        let chart: &Chart = Box::leak(Box::new(chart()));
        let regret =
            |&ratio| Regret { chart, row: None, x: 1.0, ratio, is_over_target: ratio > 1.1 };
        ratios.iter().map(regret).collect()
    }

    /// pollset at 8 and 64 with one ready, at 64 with all ready.
    fn chart() -> Chart {
        let mut chart = Chart::new("", "", "", "", Unit::Nanoseconds).with_target(TARGET);
        for (name, x, times) in [
            ("one", 8, [50.0, 100.0, 200.0]),
            ("one", 64, [400.0, 800.0, 200.0]),
            ("all", 64, [1.5, 1.0, 7.0]),
        ] {
            let row = Row { group: "sockets".into(), name: name.into() };
            let subjects =
                [("pollset", Kind::Ours), ("poll", Kind::OursForced), ("epoll", Kind::OursForced)];
            for ((subject, kind), time) in subjects.into_iter().zip(times) {
                chart.add_to_row(Some(&row), subject, kind, x, vec![time]);
            }
        }
        chart
    }
}
