//! The `pollset-fuzz` command.

#![forbid(unsafe_code)]

mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use jiff::SignedDuration;
use pollset::Engine;
use pollset_fuzz::{Program, SharedCounts, engine_name, programs, run_in_child};
use pollset_testkit::kinds;
use progress::Progress;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// Run random programs on polling objects and real descriptors, and compare each operation with
/// poll(2).
///
/// At the first failure, the smallest program that reproduces it is written to a file, and the exit
/// status is 1.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Run the programs in these files instead
    files: Vec<PathBuf>,

    /// Stop after this time, such as 30s, 5m or 1h30m
    #[arg(long, default_value = "1m")]
    duration: SignedDuration,

    /// Stop after this number of programs
    #[arg(long)]
    programs: Option<u64>,

    /// Seed of the random numbers [default: the current time]
    #[arg(long)]
    seed: Option<u64>,

    /// Use this engine only [default: all, in turn]
    #[arg(long)]
    engine: Option<EngineName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    Auto,
    Poll,
    Epoll,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let engines = match args.engine {
        None => vec![None, Some(Engine::Epoll), Some(Engine::Poll)],
        Some(EngineName::Auto) => vec![None],
        Some(EngineName::Poll) => vec![Some(Engine::Poll)],
        Some(EngineName::Epoll) => vec![Some(Engine::Epoll)],
    };
    if args.files.is_empty() { fuzz(&args, &engines) } else { run_files(&args.files, &engines) }
}

fn run_files(files: &[PathBuf], engines: &[Option<Engine>]) -> anyhow::Result<ExitCode> {
    let counts = SharedCounts::new();
    let mut status = ExitCode::SUCCESS;
    for file in files {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| name.to_string())?;
        let program = Program::parse(&text).with_context(|| name.to_string())?;
        for engine in engines {
            match run_in_child(&program, *engine, counts) {
                Ok(()) => println!("{name} on {}: ok", engine_name(*engine)),
                Err(reason) => {
                    println!("{name} on {}: {reason}", engine_name(*engine));
                    status = ExitCode::FAILURE;
                }
            }
        }
    }
    Ok(status)
}

fn fuzz(args: &Args, engines: &[Option<Engine>]) -> anyhow::Result<ExitCode> {
    let duration = Duration::try_from(args.duration).context("--duration")?;
    let time = || SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs());
    let seed = args.seed.map_or_else(time, Ok)?;
    println!("seed {seed}");
    kinds::report_missing();
    let mut progress = Progress::new(engines);
    while progress.start.elapsed() < duration
        && args.programs.is_none_or(|programs| progress.programs < programs)
    {
        let turn = progress.programs as usize % engines.len();
        let (engine, counts) = progress.counts[turn];
        let mut runner = runner(seed, progress.programs);
        progress.update();
        let outcome = runner.run(&programs(), |program| {
            run_in_child(&program, engine, counts).map_err(TestCaseError::fail)
        });
        match outcome {
            Ok(()) => progress.programs += 1,
            Err(TestError::Abort(reason)) => bail!("can't generate a program: {reason}"),
            Err(TestError::Fail(reason, program)) => {
                progress.finish();
                return report_failure(seed, progress.programs, engine, reason.message(), &program);
            }
        }
    }
    progress.finish();
    Ok(ExitCode::SUCCESS)
}

/// A runner for one program, and for smaller ones if it fails. Each program has its own seed.
fn runner(seed: u64, program: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&program.to_le_bytes());
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 10_000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Prints the program that failed, and writes it to a file.
fn report_failure(
    seed: u64,
    number: u64,
    engine: Option<Engine>,
    reason: &str,
    program: &Program,
) -> anyhow::Result<ExitCode> {
    let file = format!("pollset-fuzz-{seed}-{number}.ron");
    let reason = reason.replace('\n', "\n// ");
    let engine = engine_name(engine);
    let text = format!("// Program {number} of seed {seed}, on {engine}: {reason}\n{program}");
    std::fs::write(&file, &text).with_context(|| file.clone())?;
    println!("{text}Written to {file}.");
    Ok(ExitCode::FAILURE)
}
