//! The `pollset` command.

#![forbid(unsafe_code)]

mod duration;
mod misuse;
mod output;
mod serve;
mod wait;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use misuse::Misuse;

/// Exit status: the command is wrong.
const MISUSE: u8 = 2;
/// Exit status: the command is right, and the system can't do it.
const FAILED: u8 = 3;

/// Ask which file descriptors are ready, and serve many clients at the same time.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    Wait(wait::Args),
    #[command(hide = true)]
    Crowd(serve::crowd::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Wait(args) => wait::run(args),
        Command::Crowd(args) => serve::crowd::run(&args),
    };
    match outcome {
        Ok(status) => status,
        // Whoever read the lines has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(format_args!("pollset: {error:#}"));
            ExitCode::from(if error.is::<Misuse>() { MISUSE } else { FAILED })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
