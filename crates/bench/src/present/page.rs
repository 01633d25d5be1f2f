//! A page of all reports, for a browser.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::circumstances;
use super::figure::plain;
use super::looks::{DARK, LIGHT};
use super::table::{Table, judged, write_comparison, xs};
use super::verdict::Verdict;
use crate::report::{Chart, Report};

const STYLE: &str = include_str!("page.css");

/// With more rows than this, a table is folded.
const SHORT: usize = 4;

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
                (misses(reports))
                @for report in reports { (section(report)) }
            }
        }
    }
}

fn misses(reports: &[Report]) -> Markup {
    let misses: Vec<Markup> =
        reports.iter().flat_map(|report| &report.charts).flat_map(misses_in).collect();
    html! {
        section.misses {
            h2 { "Where pollset is behind by more than 40 ns and 15 %" }
            p { "Beside the best bare call or peer, by medians; of bytes and rates, by more than 15 %. References are left out." }
            @if misses.is_empty() { p { "Nowhere in these reports." } }
            @else { div.wide { table { @for miss in misses { tr { (miss) } } } } }
        }
    }
}

fn misses_in(chart: &Chart) -> Vec<Markup> {
    let xs = xs(chart);
    let mut misses = Vec::new();
    for ours in judged(chart, &xs) {
        for &x in &xs {
            if let Some(verdict) = Verdict::on(ours, chart, x).filter(|verdict| verdict.is_miss) {
                misses.push(html! {
                    td { a href={ "#" (chart.name) } { (chart.title) } }
                    td { (chart.x) ": " (plain(x)) }
                    td { (ours.contestant) }
                    td.miss { (write_comparison(&verdict, chart.unit)) }
                    td { "of " (verdict.best_other) }
                });
            }
        }
    }
    misses
}

fn section(report: &Report) -> Markup {
    html! {
        section id=(id(report)) {
            h2 { (heading(report)) }
            p { (report.description) }
            pre { code { (report.command) } }
            p.small {
                (circumstances(report)) " " a href=(file(report)) { "All samples" }
            }
            @for chart in &report.charts { (figure(chart)) }
        }
    }
}

fn figure(chart: &Chart) -> Markup {
    let table = Table::of(chart);
    html! {
        figure id=(chart.name) {
            picture {
                source media="(prefers-color-scheme: dark)" srcset={ (DARK.stem(&chart.name)) ".svg" };
                img src={ (LIGHT.stem(&chart.name)) ".svg" } alt={ (chart.title) ": " (chart.y) " by " (chart.x) };
            }
            details open[table.rows.len() <= SHORT] {
                summary { "The figures: medians, ± half of the distance between the quartiles" }
                div.wide { (figures(&table)) }
            }
        }
    }
}

fn figures(table: &Table) -> Markup {
    html! {
        table {
            thead { tr { @for name in &table.header { th { (name) } } } }
            tbody {
                @for row in &table.rows {
                    tr { @for cell in row { td.miss[cell.is_miss] { (cell.text) } } }
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

fn file(report: &Report) -> String {
    if report.language == "Python" {
        format!("python-{}.json", report.workload)
    } else {
        format!("{}.json", report.workload)
    }
}
