//! What a run has measured: one file of JSON for each workload, written by this program and by the
//! Python one, and what tables and charts are made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pollers::Contestant;

#[derive(Serialize, Deserialize)]
pub struct Report {
    /// As on the command line. The file is named after it, with `python-` before it if it is from
    /// there.
    pub workload: String,
    /// What is done and what is counted, in a paragraph.
    pub description: String,
    /// Rust or Python.
    pub language: String,
    /// What was typed, but for the folder.
    pub command: String,
    /// The day of the run, as in 2026-11-22.
    pub date: String,
    pub machine: Machine,
    /// Of everything that took part, the compiler or interpreter included.
    pub versions: BTreeMap<String, String>,
    pub charts: Vec<Chart>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    /// With its version.
    pub kernel: String,
}

#[derive(Serialize, Deserialize)]
pub struct Chart {
    /// Unique among all charts of all reports: the name of its files.
    pub name: String,
    pub title: String,
    /// What goes to the right, such as "descriptors watched".
    pub x: String,
    /// What is counted, such as "a wait".
    pub y: String,
    pub unit: Unit,
    pub series: Vec<Series>,
}

impl Chart {
    pub fn new(name: &str, title: &str, x: &str, y: &str, unit: Unit) -> Self {
        let [name, title, x, y] = [name, title, x, y].map(str::to_owned);
        Self { name, title, x, y, unit, series: Vec::new() }
    }

    /// What ours is judged by.
    pub fn others(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| matches!(series.kind, Kind::Bare | Kind::Peer))
    }

    pub fn add(&mut self, contestant: Contestant, x: usize, samples: Vec<f64>) {
        let (name, kind) = (contestant.name(), contestant.kind());
        let point = Point { x: x as f64, samples };
        match self.series.iter_mut().find(|series| series.contestant == name) {
            Some(series) => series.points.push(point),
            None => {
                let contestant = name.to_owned();
                self.series.push(Series { contestant, kind, points: vec![point] });
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    Nanoseconds,
    Bytes,
    /// So many things a second. Of these, more is better.
    PerSecond,
}

#[derive(Serialize, Deserialize)]
pub struct Series {
    /// As in the legend.
    pub contestant: String,
    pub kind: Kind,
    pub points: Vec<Point>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The bare system call.
    Bare,
    Peer,
    /// Ours as it comes.
    Ours,
    /// Ours with something forced, which nobody needs to choose.
    OursForced,
    /// Shown for comparison. There is no verdict on ours beside it.
    Reference,
}

#[derive(Serialize, Deserialize)]
pub struct Point {
    pub x: f64,
    /// One of each round, in the order of the rounds.
    pub samples: Vec<f64>,
}
