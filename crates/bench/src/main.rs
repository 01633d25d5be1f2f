//! Measures pollset and compares it with its peers and the bare system calls.
//!
//! `cargo run --release -p pollset-bench -- [--quick] [WORKLOAD...]` writes samples (JSON), charts
//! and a page with all tables to `target/benchmarks`, which is not in the repository. The documents
//! show the charts in `benchmarks/`; to replace these with the charts of a new run:
//!
//! ```sh
//! for chart in benchmarks/*.svg; do cp "target/$chart" benchmarks; done
//! ```

mod heap;
mod machine;
mod measure;
mod numbers;
mod pollers;
mod present;
mod report;
mod watched_fds;
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

/// The descriptors that the largest workload opens: its eventfds, and the subjects' own.
const MAX_DESCRIPTORS: u64 = 19_100;

/// Measure pollset, its peers and the bare system calls, round by round in turn
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Measure fewer sizes and fewer rounds
    #[arg(long)]
    quick: bool,
    /// Folder for samples, charts and their page
    #[arg(long, value_name = "FOLDER", default_value = "target/benchmarks")]
    into: PathBuf,
    /// Measure nothing: draw charts and page again from the samples in the folder
    #[arg(long, conflicts_with_all = ["quick", "workloads"])]
    draw: bool,
    /// Workloads to measure [default: all]
    #[arg(value_enum, value_name = "WORKLOAD")]
    workloads: Vec<Workload>,
    #[command(subcommand)]
    role: Option<HiddenCommand>,
}

#[derive(Clone, Subcommand)]
enum HiddenCommand {
    /// Run one of the two processes of the echo workload
    #[command(subcommand, hide = true)]
    EchoRole(echo::Role),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    if let Some(HiddenCommand::EchoRole(role)) = arguments.role {
        return role.run();
    }
    if arguments.draw {
        return present::draw(&arguments.into);
    }
    let folder = arguments.into.display();
    fs::create_dir_all(&arguments.into).with_context(|| format!("can't create {folder}"))?;
    // The reports of earlier runs: one that can't be drawn is an error before anything is measured.
    present::draw(&arguments.into)?;
    if limit < MAX_DESCRIPTORS {
        eprintln!(
            "Large sizes need {MAX_DESCRIPTORS} descriptors; the limit (ulimit -n) is {limit}."
        );
    }
    let workloads = match &arguments.workloads[..] {
        [] => Workload::value_variants(),
        chosen => chosen,
    };
    for &workload in workloads {
        let report = measure(workload, arguments.quick)?;
        write_report(&report, &arguments.into)?;
        present::print(&report);
    }
    present::draw(&arguments.into)?;
    println!("The charts are in {}.", arguments.into.join("index.html").display());
    Ok(())
}

fn measure(workload: Workload, quick: bool) -> Result<Report> {
    let value = workload.to_possible_value().expect("no workload is hidden");
    let name = value.get_name();
    // clap removes the full stop at the end.
    let description = format!("{}.", value.get_help().expect("each workload has a help text"));
    let style =
        ProgressStyle::with_template("{prefix:>14} {wide_bar} {pos}/{len} rounds, {eta} left")?;
    let progress = ProgressBar::no_length().with_style(style).with_prefix(name.to_owned());
    let charts = workload.measure(&Run::new(quick, progress.clone()));
    let charts = charts.with_context(|| format!("can't measure {name}"))?;
    progress.finish_and_clear();
    let option = if quick { "--quick " } else { "" };
    Ok(Report {
        workload: name.to_owned(),
        description,
        language: "Rust".to_owned(),
        command: format!("cargo run --release -p pollset-bench -- {option}{name}"),
        date: Timestamp::now().strftime("%F").to_string(),
        machine: machine::describe(),
        versions: machine::versions()?,
        charts,
    })
}

fn write_report(report: &Report, folder: &Path) -> Result<()> {
    let path = folder.join(&report.workload).with_extension("json");
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer(&mut file, report)?;
    Ok(file.flush()?)
}
