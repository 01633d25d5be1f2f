//! How many instructions the hot paths of the library take, beside the counts that are kept.
//!
//! `cargo run --release -p pollset-count` fails if a path takes more than `counts.txt` says;
//! `cargo run --release -p pollset-count -- record` writes that file anew. Needs valgrind.

mod callgrind;
mod kept;
mod paths;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};

use kept::Kept;

/// In percent. On one toolchain counts are the same each time; this leaves room for changes of a
/// few instructions.
const TOLERANCE: f64 = 2.0;
/// The same where the counts that are kept are those of another toolchain. An allocation more in
/// each wait is found all the same.
const TOLERANCE_ELSEWHERE: f64 = 25.0;

fn main() -> Result<ExitCode> {
    ensure!(!cfg!(debug_assertions), "only a release build counts: cargo run --release");
    match env::args().nth(1).as_deref() {
        None => compare(),
        Some("record") => record(),
        Some("walk") => {
            paths::walk()?;
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("usage: pollset-count [record]"),
    }
}

fn record() -> Result<ExitCode> {
    Kept { toolchain: callgrind::toolchain()?, counts: callgrind::count()? }.write()?;
    Ok(ExitCode::SUCCESS)
}

fn compare() -> Result<ExitCode> {
    let kept = Kept::read()?;
    if !kept.toolchain.starts_with(env::consts::ARCH) {
        println!("SKIPPED: the counts that are kept are those of another processor");
        return Ok(ExitCode::SUCCESS);
    }
    let toolchain = callgrind::toolchain()?;
    let tolerance = if toolchain == kept.toolchain { TOLERANCE } else { TOLERANCE_ELSEWHERE };
    println!("kept: {}", kept.toolchain);
    println!("now:  {toolchain}\n");

    println!("{:>8} {:>8} {:>9}", "kept", "now", "more");
    let (mut too_many, mut fewer) = (0, 0);
    for (path, now) in callgrind::count()? {
        // None: any count is too many.
        let kept = kept.count_of(&path).unwrap_or(0);
        let percent = (now as f64 / kept as f64 - 1.0) * 100.0;
        let verdict = if percent > tolerance {
            too_many += 1;
            "MORE"
        } else if percent < -tolerance {
            fewer += 1;
            "FEWER"
        } else {
            ""
        };
        println!("{kept:>8} {now:>8} {percent:>+7.1} %  {verdict:<5}  {path}");
    }

    let again = "cargo run --release -p pollset-count -- record";
    if too_many > 0 {
        println!("\n{too_many} take over {tolerance} % MORE. If that is meant: {again}");
        return Ok(ExitCode::FAILURE);
    }
    if fewer > 0 {
        println!("\n{fewer} take over {tolerance} % FEWER. To hold that: {again}");
    }
    Ok(ExitCode::SUCCESS)
}
