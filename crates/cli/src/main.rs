//! The `pollset` command.

#![forbid(unsafe_code)]

mod duration;
mod serve;
mod wait;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The command could not do what it was asked to: wrong arguments, or no such thing.
const MISUSE: u8 = 2;

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
    outcome.unwrap_or_else(|error| {
        eprintln!("pollset: {error:#}");
        ExitCode::from(MISUSE)
    })
}
