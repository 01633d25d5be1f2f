//! An HTML page of all reports.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::comparison::Comparison;
use super::regret::{Regret, summary};
use super::style::{DARK, LIGHT};
use super::table::{Table, compared_series, format_comparison, x_values};
use crate::numbers::format_number;
use crate::report::{Chart, Report};

const STYLE: &str = include_str!("page.css");

/// A table with more rows is folded.
const MAX_UNFOLDED_ROWS: usize = 4;

pub fn page(reports: &[Report]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "pollset: benchmarks" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "pollset: benchmarks" }
                nav { ul { @for report in reports { li { a href={ "#" (id(report)) } { (heading(report)) } } } } }
                (places_behind(reports))
                @for report in reports { (section(report)) }
            }
        }
    }
}

fn places_behind(reports: &[Report]) -> Markup {
    let rows: Vec<Markup> =
        reports.iter().flat_map(|report| &report.charts).flat_map(rows_behind).collect();
    html! {
        section.behind {
            h2 { "Where pollset is behind by more than 40 ns and 15 %" }
            p { "Medians, compared with the best bare call or peer. For bytes and rates the limit is 15 % alone. References are not compared." }
            @if rows.is_empty() { p { "None in these reports." } }
            @else { div.wide { table { @for row in rows { tr { (row) } } } } }
        }
    }
}

fn rows_behind(chart: &Chart) -> Vec<Markup> {
    let xs = x_values(chart);
    let mut rows = Vec::new();
    for ours in compared_series(chart, &xs) {
        for &x in &xs {
            let comparison = Comparison::at(chart, ours, x);
            if let Some(comparison) = comparison.filter(|comparison| comparison.is_behind) {
                rows.push(html! {
                    td { a href={ "#" (chart.name) } { (chart.title) } }
                    td { (chart.x) ": " (format_number(x)) }
                    td { (ours.subject) }
                    td.worse { (format_comparison(&comparison, chart.unit)) }
                    td { "of " (comparison.best_other) }
                });
            }
        }
    }
    rows
}

fn section(report: &Report) -> Markup {
    html! {
        section id=(id(report)) {
            h2 { (heading(report)) }
            p { (report.description) }
            pre { code { (report.command) } }
            p.small {
                (report.environment()) " " a href=(file_name(report)) { "All samples" }
            }
            (places_over_target(report))
            @for chart in &report.charts { (figure(chart)) }
        }
    }
}

fn places_over_target(report: &Report) -> Markup {
    let regrets = Regret::all(report);
    html! {
        @if let Some(summary) = summary(&regrets) {
            p { (summary) }
            @let over_target = Regret::over_target(regrets);
            @if !over_target.is_empty() { div.wide { (table_markup(&Table::of_regrets(&over_target))) } }
        }
    }
}

fn figure(chart: &Chart) -> Markup {
    let table = Table::of(chart);
    html! {
        figure id=(chart.name) {
            picture {
                source media="(prefers-color-scheme: dark)" srcset={ (DARK.file_stem(&chart.name)) ".svg" };
                img src={ (LIGHT.file_stem(&chart.name)) ".svg" } alt={ (chart.title) ": " (chart.y) " by " (chart.x) };
            }
            details open[table.rows.len() <= MAX_UNFOLDED_ROWS] {
                summary { "Medians ± half the interquartile range" }
                div.wide { (table_markup(&table)) }
            }
        }
    }
}

fn table_markup(table: &Table) -> Markup {
    html! {
        table {
            thead { tr { @for name in &table.header { th { (name) } } } }
            tbody {
                @for row in &table.rows {
                    tr { @for cell in row { td.worse[cell.mark.is_some()] { (cell.text) } } }
                }
            }
        }
    }
}

fn heading(report: &Report) -> String {
    format!("{} ({})", report.workload, report.language)
}

fn id(report: &Report) -> String {
    format!("{}-{}", report.language, report.workload)
}

fn file_name(report: &Report) -> String {
    if report.language == "Python" {
        format!("python-{}.json", report.workload)
    } else {
        format!("{}.json", report.workload)
    }
}
