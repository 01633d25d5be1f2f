//! Tables, charts and a page, made from reports.

mod axis;
mod chart;
mod comparison;
mod heat_map;
mod page;
mod regret;
mod spread;
mod style;
mod table;
mod units;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use self::regret::Regret;
use self::table::Table;
use crate::report::Report;

/// Prints the tables of a report in Markdown.
pub fn print(report: &Report) {
    println!("{}", markdown(report));
}

/// Reads all reports (`*.json`) in the folder, draws each chart as `NAME.svg`, `NAME.png`,
/// `NAME-dark.svg` and `NAME-dark.png`, and writes `index.html` and `tables.md`.
pub fn draw(folder: &Path) -> Result<()> {
    let reports = read_reports(folder)?;
    for chart in reports.iter().flat_map(|report| &report.charts) {
        for theme in [&style::LIGHT, &style::DARK] {
            let stem = theme.file_stem(&chart.name);
            let svg = chart::svg(chart, theme);
            let png = chart::png(&svg).with_context(|| format!("can't render {stem}.svg"))?;
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
        let (subtitle, table) = (chart::subtitle(chart), Table::of(chart).markdown());
        format!("### {}\n\n{subtitle}\n\n{table}\n", chart.title)
    });
    let mut tables: Vec<String> = tables.collect();
    let regrets = Regret::all(report);
    if let Some(summary) = regret::summary(&regrets) {
        let over_target = Regret::over_target(regrets);
        if !over_target.is_empty() {
            let table = Table::of_regrets(&over_target).markdown();
            tables.push(format!("### Over the target\n\n{table}\n"));
        }
        tables.push(format!("{summary}\n"));
    }
    format!(
        "## {} ({})\n\n{}\n\n{}\n\n{}",
        report.workload,
        report.language,
        report.description,
        report.environment(),
        tables.join("\n")
    )
}

/// Sorted by name, those from Rust before those from Python.
fn read_reports(folder: &Path) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    let files = fs::read_dir(folder).with_context(|| format!("can't list {}", folder.display()))?;
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let report = read_report(&path);
            reports.push(report.with_context(|| format!("no report: {}", path.display()))?);
        }
    }
    reports.sort_by_cached_key(|report| (report.language != "Rust", report.workload.clone()));
    Ok(reports)
}

fn read_report(path: &Path) -> Result<Report> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write(path: &Path, contents: &[u8]) -> Result<()> {
    fs::write(path, contents).with_context(|| format!("can't write {}", path.display()))
}
