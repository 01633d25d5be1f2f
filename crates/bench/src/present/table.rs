//! The values of a chart as a table: a column for each x, a row for each subject.

use std::iter;

use comfy_table::presets::ASCII_MARKDOWN;

use super::comparison::{Comparison, median_at, spread_at};
use super::regret::{self, Regret, series_of};
use super::units::Scale;
use crate::numbers::format_number;
use crate::report::{Chart, Kind, Row, Series, Unit};

pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

pub struct Cell {
    pub text: String,
    /// Why the cell stands out.
    pub mark: Option<&'static str>,
}

impl Cell {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), mark: None }
    }

    fn marked(text: String, mark: &'static str, is_marked: bool) -> Self {
        Self { text, mark: is_marked.then_some(mark) }
    }
}

impl Table {
    pub fn of(chart: &Chart) -> Self {
        let xs = x_values(chart);
        let table_row = |name: &str, cell: &dyn Fn(f64) -> Option<Cell>| {
            let cells = xs.iter().map(|&x| cell(x).unwrap_or_else(|| Cell::plain("")));
            iter::once(Cell::plain(name)).chain(cells).collect()
        };

        let mut rows = Vec::new();
        for row in regret::rows(chart) {
            let prefix =
                row.map_or(String::new(), |Row { group, name }| format!("{group}, {name}: "));
            let scale = |x| scale_at(chart, row, x);
            if row.is_none() {
                rows.push(table_row("unit", &|x| Some(Cell::plain(scale(x).symbol))));
            }
            for series in series_of(chart, row) {
                rows.push(table_row(&format!("{prefix}{}", series.subject), &|x| {
                    let text = scale(x).format_spread(&spread_at(series, x)?);
                    Some(Cell::plain(match row {
                        Some(_) => format!("{text} {}", scale(x).symbol),
                        None => text,
                    }))
                }));
            }
            if chart.target.is_some() {
                rows.push(table_row(&format!("{prefix}regret"), &|x| {
                    Regret::at(chart, row, x).map(|regret| regret_cell(&regret))
                }));
            }
        }
        for ours in compared_series(chart, &xs) {
            let comparison = |x| Comparison::at(chart, ours, x);
            rows.push(table_row(&format!("{} vs. best other", ours.subject), &|x| {
                let comparison = comparison(x)?;
                let text = format_comparison(&comparison, chart.unit);
                Some(Cell::marked(text, "BEHIND", comparison.is_behind))
            }));
            rows.push(table_row("best other", &|x| Some(Cell::plain(comparison(x)?.best_other))));
        }
        let header = iter::once(chart.x.clone()).chain(xs.iter().map(|&x| format_number(x)));
        Self { header: header.collect(), rows }
    }

    /// A row for each regret, with the medians it is made from.
    pub fn of_regrets(regrets: &[Regret]) -> Self {
        let mut header = vec!["chart".to_owned(), "point".to_owned()];
        if let Some(Regret { chart, row, .. }) = regrets.first() {
            header.extend(series_of(chart, *row).map(|series| series.subject.clone()));
        }
        header.push("regret".to_owned());
        let row = |regret: &Regret| {
            let &Regret { chart, row, x, .. } = regret;
            let scale = scale_at(chart, row, x);
            let place =
                row.map_or(String::new(), |Row { group, name }| format!(", {group}, {name}"));
            let point = format!("{}{place}", format_number(x));
            let mut cells = vec![Cell::plain(&chart.name), Cell::plain(point)];
            cells.extend(series_of(chart, row).map(|series| {
                let median = median_at(series, x);
                Cell::plain(median.map_or(String::new(), |median| scale.format_with_symbol(median)))
            }));
            cells.push(regret_cell(regret));
            cells
        };
        Self { header, rows: regrets.iter().map(row).collect() }
    }

    pub fn markdown(self) -> String {
        let mut markdown = comfy_table::Table::new();
        markdown.load_style(ASCII_MARKDOWN).set_header(self.header);
        for row in self.rows {
            markdown.add_row(row.into_iter().map(|cell| match cell.mark {
                Some(mark) => format!("{mark} {}", cell.text),
                None => cell.text,
            }));
        }
        markdown.to_string()
    }
}

fn regret_cell(regret: &Regret) -> Cell {
    Cell::marked(format!("{:.2}×", regret.ratio), "OVER", regret.is_over_target)
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

/// The scale that suits the smallest median at this x of this row.
pub fn scale_at(chart: &Chart, row: Option<&Row>, x: f64) -> Scale {
    let medians = series_of(chart, row).filter_map(|series| median_at(series, x));
    chart.unit.scale_for(medians.fold(f64::INFINITY, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Point, Target};

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
        assert_eq!(Table::of(&chart).markdown(), expected);
    }

    #[test]
    fn a_series_alone_has_no_comparison_row() {
        let rows = |kind| Table::of(&chart(&[("one", kind, &[2.0])])).rows.len();
        assert_eq!(rows(Kind::Ours), 2);
        assert_eq!(rows(Kind::Peer), 2);
    }

    #[test]
    fn a_chart_with_a_target_has_a_row_of_regrets() {
        let target = Target { ratio: 1.1, difference: 40.0 };
        let chart = chart(&[
            ("pollset", Kind::Ours, &[300.0, 25_000.0]),
            ("poll forced", Kind::OursForced, &[290.0, 30_000.0]),
            ("epoll forced", Kind::OursForced, &[200.0, 26_000.0]),
        ])
        .with_target(target);
        let expected = "\
| descriptors  | 1          | 9,000 |
|--------------|------------|-------|
| unit         | ns         | µs    |
| pollset      | 300        | 25.0  |
| poll forced  | 290        | 30.0  |
| epoll forced | 200        | 26.0  |
| regret       | OVER 1.50× | 0.96× |";
        assert_eq!(Table::of(&chart).markdown(), expected);
    }

    #[test]
    fn a_heat_map_has_table_rows_for_each_of_its_rows() {
        let mut chart = Chart::new("choice", "", "descriptors", "wait", Unit::Nanoseconds)
            .with_target(Target { ratio: 1.1, difference: 40.0 });
        for (name, x, time) in [("one", 8, 150.0), ("all", 8, 250.0), ("all", 64, 45_000.0)] {
            let row = Row { group: "sockets".into(), name: name.into() };
            chart.add_to_row(Some(&row), "pollset", Kind::Ours, x, vec![time]);
            chart.add_to_row(Some(&row), "poll forced", Kind::OursForced, x, vec![200.0]);
        }
        let expected = "\
| descriptors               | 8          | 64           |
|---------------------------|------------|--------------|
| sockets, one: pollset     | 150 ns     |              |
| sockets, one: poll forced | 200 ns     |              |
| sockets, one: regret      | 0.75×      |              |
| sockets, all: pollset     | 250 ns     | 45,000 ns    |
| sockets, all: poll forced | 200 ns     | 200 ns       |
| sockets, all: regret      | OVER 1.25× | OVER 225.00× |";
        assert_eq!(Table::of(&chart).markdown(), expected);

        let all = regret::rows(&chart)[1];
        let regrets = [Regret::at(&chart, all, 8.0).unwrap()];
        let expected = "\
| chart  | point           | pollset | poll forced | regret     |
|--------|-----------------|---------|-------------|------------|
| choice | 8, sockets, all | 250 ns  | 200 ns      | OVER 1.25× |";
        assert_eq!(Table::of_regrets(&regrets).markdown(), expected);
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
            row: None,
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
