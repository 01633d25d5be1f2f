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
use pollset_fuzz::{Program, SharedCounts, programs, run_in_child};
use pollset_testkit::kinds;
use progress::Progress;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// Run random programs on polling objects and real descriptors, and compare each step with poll(2).
///
/// Ends with status 1 at the first difference, and with the smallest program that shows it in a file.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Programs to run instead, each in a file, with each engine
    files: Vec<PathBuf>,

    /// How long to go on
    #[arg(long, default_value = "1m", value_parser = duration)]
    duration: Duration,

    /// How many programs to run, at most
    #[arg(long)]
    programs: Option<u64>,

    /// Where the random numbers start [default: the time]
    #[arg(long)]
    seed: Option<u64>,

    /// Run all on this engine [default: each in turn]
    #[arg(long)]
    engine: Option<EngineName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    Auto,
    Poll,
    Epoll,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = "write a number and a unit, such as 30s, 5m or 1h30m";
    let duration: SignedDuration = text.parse().map_err(|_| wrong)?;
    duration.try_into().map_err(|_| wrong.to_owned())
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let engines = match args.engine {
        None => vec![Engine::Auto, Engine::Epoll, Engine::Poll],
        Some(EngineName::Auto) => vec![Engine::Auto],
        Some(EngineName::Poll) => vec![Engine::Poll],
        Some(EngineName::Epoll) => vec![Engine::Epoll],
    };
    if args.files.is_empty() { fuzz(&args, &engines) } else { run_files(&args.files, &engines) }
}

fn run_files(files: &[PathBuf], engines: &[Engine]) -> anyhow::Result<ExitCode> {
    let counts = SharedCounts::new();
    let mut status = ExitCode::SUCCESS;
    for file in files {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| name.to_string())?;
        let program = Program::parse(&text).with_context(|| name.to_string())?;
        for engine in engines {
            match run_in_child(&program, *engine, counts) {
                Ok(()) => println!("{name} on {engine:?}: right"),
                Err(reason) => {
                    println!("{name} on {engine:?}: {reason}");
                    status = ExitCode::FAILURE;
                }
            }
        }
    }
    Ok(status)
}

fn fuzz(args: &Args, engines: &[Engine]) -> anyhow::Result<ExitCode> {
    let time = || SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs());
    let seed = args.seed.map_or_else(time, Ok)?;
    println!("seed {seed}");
    kinds::report_missing();
    let mut progress = Progress::new(engines);
    while progress.start.elapsed() < args.duration
        && args.programs.is_none_or(|programs| progress.programs < programs)
    {
        let place = progress.programs as usize % engines.len();
        let (engine, counts) = progress.counts[place];
        let mut runner = runner(seed, progress.programs);
        progress.tick();
        let outcome = runner.run(&programs(), |program| {
            run_in_child(&program, engine, counts).map_err(TestCaseError::fail)
        });
        match outcome {
            Ok(()) => progress.programs += 1,
            Err(TestError::Abort(reason)) => bail!("no program could be made: {reason}"),
            Err(TestError::Fail(reason, program)) => {
                progress.report();
                return fail(seed, progress.programs, engine, reason.message(), &program);
            }
        }
    }
    progress.report();
    Ok(ExitCode::SUCCESS)
}

/// Makes one program, and if that fails, smaller ones. Each program has a seed of its own.
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

fn fail(
    seed: u64,
    number: u64,
    engine: Engine,
    reason: &str,
    program: &Program,
) -> anyhow::Result<ExitCode> {
    let file = format!("pollset-fuzz-{seed}-{number}.ron");
    let reason = reason.replace('\n', "\n// ");
    let text = format!("// Program {number} of seed {seed}, on {engine:?}: {reason}\n{program}");
    std::fs::write(&file, &text).with_context(|| file.clone())?;
    println!("{text}written to {file}");
    Ok(ExitCode::FAILURE)
}
