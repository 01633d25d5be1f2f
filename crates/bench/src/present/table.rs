//! The values of a chart as a table: a column for each x, a row for each subject.

use std::iter;

use comfy_table::presets::ASCII_MARKDOWN;

use super::comparison::{Comparison, median_at, spread_at};
use super::units::Scale;
use crate::numbers::format_number;
use crate::report::{Chart, Kind, Series, Unit};

pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

pub struct Cell {
    pub text: String,
    pub is_behind: bool,
}

impl Table {
    pub fn of(chart: &Chart) -> Self {
        let xs = x_values(chart);
        let row = |name: &str, cell: &dyn Fn(f64) -> Cell| {
            let name = Cell { text: name.to_owned(), is_behind: false };
            iter::once(name).chain(xs.iter().map(|&x| cell(x))).collect()
        };
        let plain_cell = |text| Cell { text, is_behind: false };

        let mut rows: Vec<Vec<Cell>> =
            vec![row("unit", &|x| plain_cell(scale_at(chart, x).symbol.to_owned()))];
        for series in &chart.series {
            let text = |x| Some(scale_at(chart, x).format_spread(&spread_at(series, x)?));
            rows.push(row(&series.subject, &|x| plain_cell(text(x).unwrap_or_default())));
        }
        for ours in compared_series(chart, &xs) {
            let comparison = |x| Comparison::at(chart, ours, x);
            rows.push(row(&format!("{} vs. best other", ours.subject), &|x| {
                let cell = |comparison: Comparison| Cell {
                    text: format_comparison(&comparison, chart.unit),
                    is_behind: comparison.is_behind,
                };
                comparison(x).map_or(plain_cell(String::new()), cell)
            }));
            rows.push(row("best other", &|x| {
                let best_other = comparison(x).map_or("", |comparison| comparison.best_other);
                plain_cell(best_other.to_owned())
            }));
        }
        let header = iter::once(chart.x.clone()).chain(xs.iter().map(|&x| format_number(x)));
        Self { header: header.collect(), rows }
    }
}

pub fn markdown(chart: &Chart) -> String {
    let table = Table::of(chart);
    let mut markdown = comfy_table::Table::new();
    markdown.load_style(ASCII_MARKDOWN).set_header(table.header);
    for row in table.rows {
        markdown.add_row(
            row.into_iter().map(|cell| {
                if cell.is_behind { format!("BEHIND {}", cell.text) } else { cell.text }
            }),
        );
    }
    markdown.to_string()
}

/// The x of all points of all series, in ascending order.
pub fn x_values(chart: &Chart) -> Vec<f64> {
    let points = chart.series.iter().flat_map(|series| &series.points);
    let mut xs: Vec<f64> = points.map(|point| point.x).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    xs
}

/// The series of pollset that have a comparison at one x or more.
pub fn compared_series<'a>(chart: &'a Chart, xs: &[f64]) -> impl Iterator<Item = &'a Series> {
    let ours = chart.series.iter().filter(|series| series.kind == Kind::Ours);
    ours.filter(|ours| xs.iter().any(|&x| Comparison::at(chart, ours, x).is_some()))
}

/// Such as "1.06×, +17 ns".
pub fn format_comparison(comparison: &Comparison, unit: Unit) -> String {
    let Comparison { ratio, difference, .. } = comparison;
    let decimals = if *ratio < 0.1 { 3 } else { 2 };
    let ratio = if *ratio < 100.0 { format!("{ratio:.decimals$}×, ") } else { String::new() };
    let plus = if *difference > 0.0 { "+" } else { "" };
    let difference = unit.scale_for(difference.abs()).format_with_symbol(*difference);
    format!("{ratio}{plus}{difference}")
}

/// The scale that suits the smallest median at this x.
pub fn scale_at(chart: &Chart, x: f64) -> Scale {
    let medians = chart.series.iter().filter_map(|series| median_at(series, x));
    chart.unit.scale_for(medians.fold(f64::INFINITY, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Point;

    #[test]
    fn a_table_has_a_row_for_each_subject_and_a_column_for_each_x() {
        let chart = chart(&[
            ("select(2)", Kind::Bare, &[190.0]),
            ("mio", Kind::Peer, &[300.0, 25_000.0]),
            ("pollset", Kind::Ours, &[200.0, 30_000.0]),
        ]);
        let expected = "\
| descriptors            | 1             | 9,000                   |
|------------------------|---------------|-------------------------|
| unit                   | ns            | µs                      |
| select(2)              | 190           |                         |
| mio                    | 300           | 25.0                    |
| pollset                | 200           | 30.0                    |
| pollset vs. best other | 1.05×, +10 ns | BEHIND 1.20×, +5,000 ns |
| best other             | select(2)     | mio                     |";
        assert_eq!(markdown(&chart), expected);
    }

    #[test]
    fn a_series_alone_has_no_comparison_row() {
        let rows = |kind| Table::of(&chart(&[("one", kind, &[2.0])])).rows.len();
        assert_eq!(rows(Kind::Ours), 2);
        assert_eq!(rows(Kind::Peer), 2);
    }

    #[test]
    fn a_comparison_with_zero_has_no_ratio() {
        let comparison =
            Comparison { best_other: "mio", ratio: 61.0 / 0.0, difference: 61.0, is_behind: true };
        assert_eq!(format_comparison(&comparison, Unit::Bytes), "+61 B");
    }

    /// A chart of series with one sample at 1 and one at 9,000.
    fn chart(series: &[(&str, Kind, &[f64])]) -> Chart {
        let series = series.iter().map(|&(subject, kind, samples)| Series {
            subject: subject.into(),
            kind,
            points: [1.0, 9_000.0]
                .iter()
                .zip(samples)
                .map(|(&x, &sample)| Point { x, samples: vec![sample] })
                .collect(),
        });
        let mut chart = Chart::new("name", "Title", "descriptors", "wait", Unit::Nanoseconds);
        chart.series = series.collect();
        chart
    }
}
