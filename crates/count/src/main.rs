//! Counts the instructions of the library's hot paths, and compares them with a baseline.
//!
//! `cargo run --release -p pollset-count` fails if a path takes more instructions than in
//! `counts.txt`; `cargo run --release -p pollset-count -- record` rewrites that file. Both need
//! valgrind.

mod baseline;
mod callgrind;
mod paths;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};

use baseline::Baseline;

/// In percent. With one toolchain all runs give the same counts; this allows for changes of a few
/// instructions.
const TOLERANCE: f64 = 2.0;
/// The tolerance if the baseline is of another toolchain. One more allocation in each wait still
/// exceeds it.
const OTHER_TOOLCHAIN_TOLERANCE: f64 = 25.0;

fn main() -> Result<ExitCode> {
    ensure!(
        !cfg!(debug_assertions),
        "the counts are those of a release build: cargo run --release"
    );
    match env::args().nth(1).as_deref() {
        None => compare(),
        Some("record") => record(),
        Some("run-paths") => {
            paths::run_all()?;
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("usage: pollset-count [record]"),
    }
}

fn record() -> Result<ExitCode> {
    Baseline { toolchain: callgrind::toolchain()?, counts: callgrind::count()? }.write()?;
    Ok(ExitCode::SUCCESS)
}

fn compare() -> Result<ExitCode> {
    let baseline = Baseline::read()?;
    if !baseline.toolchain.starts_with(env::consts::ARCH) {
        println!("SKIPPED: the baseline is of another processor architecture");
        return Ok(ExitCode::SUCCESS);
    }
    let toolchain = callgrind::toolchain()?;
    let tolerance =
        if toolchain == baseline.toolchain { TOLERANCE } else { OTHER_TOOLCHAIN_TOLERANCE };
    println!("baseline: {}", baseline.toolchain);
    println!("now:      {toolchain}\n");

    println!("{:>8} {:>8} {:>9}", "baseline", "now", "change");
    let (mut too_many, mut fewer) = (0, 0);
    for (path, now) in callgrind::count()? {
        // A path without a baseline counts as MORE.
        let before = baseline.count(&path).unwrap_or(0);
        let percent = (now as f64 / before as f64 - 1.0) * 100.0;
        let verdict = if percent > tolerance {
            too_many += 1;
            "MORE"
        } else if percent < -tolerance {
            fewer += 1;
            "FEWER"
        } else {
            ""
        };
        println!("{before:>8} {now:>8} {percent:>+7.1} %  {verdict:<5}  {path}");
    }

    let record = "cargo run --release -p pollset-count -- record";
    if too_many > 0 {
        println!("\n{too_many} paths take over {tolerance} % MORE. If that is intended: {record}");
        return Ok(ExitCode::FAILURE);
    }
    if fewer > 0 {
        println!(
            "\n{fewer} paths take over {tolerance} % FEWER. To make this the baseline: {record}"
        );
    }
    Ok(ExitCode::SUCCESS)
}
