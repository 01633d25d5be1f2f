//! The figures of a chart: a column for each x, a row for each contestant.

use std::iter;

use comfy_table::presets::ASCII_MARKDOWN;

use super::figure::{Scale, plain};
use super::verdict::{Verdict, median_at, spread_at};
use crate::report::{Chart, Kind, Series, Unit};

pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

pub struct Cell {
    pub text: String,
    pub is_miss: bool,
}

impl Table {
    pub fn of(chart: &Chart) -> Self {
        let xs = xs(chart);
        let row = |name: &str, cell: &dyn Fn(f64) -> Cell| {
            let name = Cell { text: name.to_owned(), is_miss: false };
            iter::once(name).chain(xs.iter().map(|&x| cell(x))).collect()
        };
        let plain_cell = |text| Cell { text, is_miss: false };

        let mut rows: Vec<Vec<Cell>> =
            vec![row("unit", &|x| plain_cell(scale_at(chart, x).sign.to_owned()))];
        for series in &chart.series {
            let written = |x| Some(scale_at(chart, x).write_spread(&spread_at(series, x)?));
            rows.push(row(&series.contestant, &|x| plain_cell(written(x).unwrap_or_default())));
        }
        for ours in judged(chart, &xs) {
            let verdict = |x| Verdict::on(ours, chart, x);
            rows.push(row(&format!("{} beside the best other", ours.contestant), &|x| {
                let cell = |verdict: Verdict| Cell {
                    text: write_comparison(&verdict, chart.unit),
                    is_miss: verdict.is_miss,
                };
                verdict(x).map_or(plain_cell(String::new()), cell)
            }));
            rows.push(row("which is", &|x| {
                plain_cell(verdict(x).map_or("", |verdict| verdict.best_other).to_owned())
            }));
        }
        let header = iter::once(chart.x.clone()).chain(xs.iter().map(|&x| plain(x)));
        Self { header: header.collect(), rows }
    }
}

pub fn markdown(chart: &Chart) -> String {
    let table = Table::of(chart);
    let mut markdown = comfy_table::Table::new();
    markdown.load_style(ASCII_MARKDOWN).set_header(table.header);
    for row in table.rows {
        markdown.add_row(
            row.into_iter()
                .map(|cell| if cell.is_miss { format!("MISS {}", cell.text) } else { cell.text }),
        );
    }
    markdown.to_string()
}

/// Every x of any of its series, in ascending order.
pub fn xs(chart: &Chart) -> Vec<f64> {
    let points = chart.series.iter().flat_map(|series| &series.points);
    let mut xs: Vec<f64> = points.map(|point| point.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    xs
}

/// Those of ours that there is a verdict on.
pub fn judged<'a>(chart: &'a Chart, xs: &[f64]) -> impl Iterator<Item = &'a Series> {
    let ours = chart.series.iter().filter(|series| series.kind == Kind::Ours);
    ours.filter(|ours| xs.iter().any(|&x| Verdict::on(ours, chart, x).is_some()))
}

/// Such as "1.06×, +17 ns".
pub fn write_comparison(verdict: &Verdict, unit: Unit) -> String {
    let Verdict { ratio, difference, .. } = verdict;
    let decimals = if *ratio < 0.1 { 3 } else { 2 };
    let ratio = if *ratio < 100.0 { format!("{ratio:.decimals$}×, ") } else { String::new() };
    let plus = if *difference > 0.0 { "+" } else { "" };
    let difference = unit.scale_for(difference.abs()).write_with_sign(*difference);
    format!("{ratio}{plus}{difference}")
}

/// That of the smallest figure at this x.
pub fn scale_at(chart: &Chart, x: f64) -> Scale {
    let medians = chart.series.iter().filter_map(|series| median_at(series, x));
    chart.unit.scale_for(medians.fold(f64::INFINITY, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Point;

    #[test]
    fn a_row_for_each_contestant_and_a_column_for_each_x() {
        let chart = chart(&[
            ("select(2)", Kind::Bare, &[190.0]),
            ("mio", Kind::Peer, &[300.0, 25_000.0]),
            ("pollset", Kind::Ours, &[200.0, 30_000.0]),
        ]);
        let expected = "\
| descriptors                   | 1             | 9,000                 |
|-------------------------------|---------------|-----------------------|
| unit                          | ns            | µs                    |
| select(2)                     | 190           |                       |
| mio                           | 300           | 25.0                  |
| pollset                       | 200           | 30.0                  |
| pollset beside the best other | 1.05×, +10 ns | MISS 1.20×, +5,000 ns |
| which is                      | select(2)     | mio                   |";
        assert_eq!(markdown(&chart), expected);
    }

    #[test]
    fn where_there_is_nothing_to_judge_there_is_no_verdict() {
        let rows = |kind| Table::of(&chart(&[("one", kind, &[2.0])])).rows.len();
        assert_eq!(rows(Kind::Ours), 2);
        assert_eq!(rows(Kind::Peer), 2);
    }

    #[test]
    fn nothing_is_written_as_a_multiple_of_nothing() {
        let verdict =
            Verdict { best_other: "mio", ratio: 61.0 / 0.0, difference: 61.0, is_miss: true };
        assert_eq!(write_comparison(&verdict, Unit::Bytes), "+61 B");
    }

    /// With samples at 1 and at 9,000.
    fn chart(series: &[(&str, Kind, &[f64])]) -> Chart {
        let series = series.iter().map(|&(contestant, kind, samples)| Series {
            contestant: contestant.into(),
            kind,
            points: [1.0, 9_000.0]
                .iter()
                .zip(samples)
                .map(|(&x, &sample)| Point { x, samples: vec![sample] })
                .collect(),
        });
        let mut chart = Chart::new("name", "Title", "descriptors", "a wait", Unit::Nanoseconds);
        chart.series = series.collect();
        chart
    }
}
