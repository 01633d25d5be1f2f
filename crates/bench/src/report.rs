//! The results of one workload: the schema of the JSON files.
//!
//! This program and the Python one write a file for each workload; tables and charts are made from
//! these files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Report {
    /// The name on the command line. The file has this name, prefixed with `python-` if the Python
    /// program wrote it.
    pub workload: String,
    /// A paragraph on the workload and on the time or size that a sample measures.
    pub description: String,
    /// `Rust` or `Python`.
    pub language: String,
    /// The command that repeats the run, without the output folder.
    pub command: String,
    /// The day of the run, such as 2026-11-22.
    pub date: String,
    pub machine: Machine,
    /// Versions of the compiler or interpreter and of the libraries under comparison.
    pub versions: BTreeMap<String, String>,
    pub charts: Vec<Chart>,
}

impl Report {
    /// The date, the machine and the versions, in one line.
    pub fn environment(&self) -> String {
        let Machine { processor, cores, memory_gib, kernel } = &self.machine;
        let versions: Vec<_> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "{}, on {processor}, {cores} cores, {memory_gib} GiB, {kernel}. {}.",
            self.date,
            versions.join(", ")
        )
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    /// Name and version.
    pub kernel: String,
}

#[derive(Serialize, Deserialize)]
pub struct Chart {
    /// Unique among the charts of all reports: its files are named after it.
    pub name: String,
    pub title: String,
    /// The horizontal axis, such as "descriptors watched".
    pub x: String,
    /// The operation or object that the unit refers to: nanoseconds per "wait", bytes per
    /// "descriptor"; the plural with [`Unit::PerSecond`]: "messages" per second.
    pub y: String,
    pub unit: Unit,
    /// If present, the chart compares pollset with its own engines, forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    pub series: Vec<Series>,
}

/// The limits of the regret, which is pollset's time divided by that of the better forced engine. A
/// point is over the target if it exceeds both limits.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Target {
    /// Of the regret.
    pub ratio: f64,
    /// Of the difference between the two times, in the unit of the chart.
    pub difference: f64,
}

impl Chart {
    pub fn new(name: &str, title: &str, x: &str, y: &str, unit: Unit) -> Self {
        let [name, title, x, y] = [name, title, x, y].map(str::to_owned);
        Self { name, title, x, y, unit, target: None, series: Vec::new() }
    }

    pub fn with_target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// The series that pollset is compared with: bare calls and peers.
    pub fn others(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| matches!(series.kind, Kind::Bare | Kind::Peer))
    }

    /// Adds a point to the series of this subject. The first point creates the series.
    pub fn add(&mut self, subject: &str, kind: Kind, x: usize, samples: Vec<f64>) {
        self.add_to_row(None, subject, kind, x, samples);
    }

    /// Adds a point to the series of this subject in this row of a heat map.
    pub fn add_to_row(
        &mut self,
        row: Option<&Row>,
        subject: &str,
        kind: Kind,
        x: usize,
        samples: Vec<f64>,
    ) {
        let point = Point { x: x as f64, samples };
        let mut series = self.series.iter_mut();
        match series.find(|series| series.subject == subject && series.row.as_ref() == row) {
            Some(series) => series.points.push(point),
            None => {
                let (subject, row) = (subject.to_owned(), row.cloned());
                self.series.push(Series { subject, kind, row, points: vec![point] });
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    Nanoseconds,
    Bytes,
    /// A rate. Higher is better.
    PerSecond,
}

#[derive(Serialize, Deserialize)]
pub struct Series {
    /// The name in the legend.
    pub subject: String,
    pub kind: Kind,
    /// The row of the heat map; `None` in all other charts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Row>,
    pub points: Vec<Point>,
}

/// A row of a heat map, which shows the regret by x and row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Rows of the same group are consecutive, below a heading.
    pub group: String,
    pub name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A bare system call.
    Bare,
    /// Another library.
    Peer,
    /// pollset with its defaults.
    Ours,
    /// pollset with a setting that programs need not change.
    OursForced,
    /// Shown for comparison only: pollset is not compared with it.
    Reference,
}

#[derive(Serialize, Deserialize)]
pub struct Point {
    pub x: f64,
    /// One sample for each round, in the order of the rounds.
    pub samples: Vec<f64>,
}
