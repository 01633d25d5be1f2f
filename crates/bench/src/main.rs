//! What pollset costs beside its peers and the bare system calls.
//!
//! `cargo run --release -p pollset-bench -- [--quick] [WORKLOAD...]`

mod crowd;
mod heap;
mod machine;
mod measure;
mod pollers;
mod present;
mod report;
mod workloads;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use measure::Run;
use report::Report;
use workloads::{Workload, echo};

/// So many are open in this process at the most: eventfds, and what the contestants have of their own.
const DESCRIPTORS: u64 = 19_100;

/// Measure pollset beside its peers: rounds that alternate between all of them, in one run
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Less thorough: fewer sizes, fewer rounds
    #[arg(long)]
    quick: bool,
    /// Where the samples, charts and their page go
    #[arg(long, value_name = "FOLDER", default_value = "target/benchmarks")]
    into: PathBuf,
    /// Measure nothing; draw the charts and their page again from the samples in the folder
    #[arg(long, conflicts_with_all = ["quick", "workloads"])]
    draw: bool,
    /// What to measure [default: all]
    #[arg(value_enum, value_name = "WORKLOAD")]
    workloads: Vec<Workload>,
    #[command(subcommand)]
    role: Option<Hidden>,
}

#[derive(Clone, Subcommand)]
enum Hidden {
    /// One of the two processes of the echo workload
    #[command(subcommand, hide = true)]
    EchoRole(echo::Role),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    if let Some(Hidden::EchoRole(role)) = arguments.role {
        return role.play();
    }
    if arguments.draw {
        return present::draw(&arguments.into);
    }
    let folder = arguments.into.display();
    fs::create_dir_all(&arguments.into).with_context(|| format!("can't make {folder}"))?;
    // What is there already: if it can't be drawn, that is known before anything is measured.
    present::draw(&arguments.into)?;
    if limit < DESCRIPTORS {
        eprintln!("No more than {limit} descriptors (ulimit -n): large sizes take {DESCRIPTORS}.");
    }
    let workloads = match &arguments.workloads[..] {
        [] => Workload::value_variants(),
        chosen => chosen,
    };
    for &workload in workloads {
        let report = measure(workload, arguments.quick)?;
        keep(&report, &arguments.into)?;
        present::print(&report);
    }
    present::draw(&arguments.into)?;
    println!("The charts are in {}.", arguments.into.join("index.html").display());
    Ok(())
}

fn measure(workload: Workload, quick: bool) -> Result<Report> {
    let value = workload.to_possible_value().expect("none is hidden");
    let name = value.get_name();
    // It comes without its full stop.
    let description = format!("{}.", value.get_help().expect("each has one"));
    let style =
        ProgressStyle::with_template("{prefix:>14} {wide_bar} {pos}/{len} rounds, {eta} left")?;
    let progress = ProgressBar::no_length().with_style(style).with_prefix(name.to_owned());
    let charts = workload.measure(&Run::new(quick, progress.clone()));
    let charts = charts.with_context(|| format!("{name} was not measured to its end"))?;
    progress.finish_and_clear();
    let how = if quick { "--quick " } else { "" };
    Ok(Report {
        workload: name.to_owned(),
        description,
        language: "Rust".to_owned(),
        command: format!("cargo run --release -p pollset-bench -- {how}{name}"),
        date: Timestamp::now().strftime("%F").to_string(),
        machine: machine::describe(),
        versions: machine::versions()?,
        charts,
    })
}

fn keep(report: &Report, folder: &Path) -> Result<()> {
    let path = folder.join(&report.workload).with_extension("json");
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer(&mut file, report)?;
    Ok(file.flush()?)
}
