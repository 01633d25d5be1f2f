//! What is made from reports: tables, charts, and a page of all.

mod axis;
mod chart;
mod figure;
mod looks;
mod page;
mod spread;
mod table;
mod verdict;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::report::{Machine, Report};

pub use figure::plain;

/// Write the tables of a report to standard output, in Markdown.
pub fn print(report: &Report) {
    println!("{}", markdown(report));
}

/// From all reports (`*.json`) in the folder, draw each chart as `NAME.svg`, `NAME.png`,
/// `NAME-dark.svg` and `NAME-dark.png`, and write `index.html` and `tables.md`.
pub fn draw(folder: &Path) -> Result<()> {
    let reports = read(folder)?;
    for chart in reports.iter().flat_map(|report| &report.charts) {
        for ground in [&looks::LIGHT, &looks::DARK] {
            let stem = ground.stem(&chart.name);
            let svg = chart::svg(chart, ground);
            let png = chart::png(&svg).with_context(|| format!("{stem}.svg is no picture"))?;
            write(&folder.join(format!("{stem}.svg")), svg.as_bytes())?;
            write(&folder.join(format!("{stem}.png")), &png)?;
        }
    }
    let tables: Vec<String> = reports.iter().map(markdown).collect();
    write(&folder.join("tables.md"), tables.join("\n").as_bytes())?;
    write(&folder.join("index.html"), page::page(&reports).into_string().as_bytes())
}

fn markdown(report: &Report) -> String {
    let tables = report.charts.iter().map(|chart| {
        let (counted, table) = (chart::what_is_counted(chart), table::markdown(chart));
        format!("### {}\n\n{counted}\n\n{table}\n", chart.title)
    });
    let tables: Vec<String> = tables.collect();
    format!(
        "## {} ({})\n\n{}\n\n{}\n\n{}",
        report.workload,
        report.language,
        report.description,
        circumstances(report),
        tables.join("\n")
    )
}

/// When, on what and of what versions.
fn circumstances(report: &Report) -> String {
    let Machine { processor, cores, memory_gib, kernel } = &report.machine;
    let versions = report.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let versions = versions.collect::<Vec<_>>().join(", ");
    let date = &report.date;
    format!("{date}, on {processor}, {cores} cores, {memory_gib} GiB, {kernel}. {versions}.")
}

/// Those from Rust before those from Python, each in the order of their names.
fn read(folder: &Path) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    let files =
        fs::read_dir(folder).with_context(|| format!("{} can't be listed", folder.display()))?;
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            reports
                .push(report(&path).with_context(|| format!("{} is no report", path.display()))?);
        }
    }
    reports.sort_by_cached_key(|report| (report.language != "Rust", report.workload.clone()));
    Ok(reports)
}

fn report(path: &Path) -> Result<Report> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write(path: &Path, contents: &[u8]) -> Result<()> {
    fs::write(path, contents).with_context(|| format!("{} can't be written", path.display()))
}
