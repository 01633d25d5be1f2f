//! The `pollset` command: runs a subcommand and turns its result into an exit status.

#![forbid(unsafe_code)]

mod duration;
mod generate;
mod output;
mod serve;
mod usage_error;
mod wait;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use usage_error::UsageError;

/// Exit status: the command line is wrong.
const USAGE_ERROR: u8 = 2;
/// Exit status: the command line is right, but a system call failed.
const SYSTEM_ERROR: u8 = 3;

/// Wait for services, files and descriptors in the shell; serve many TCP clients in one thread.
#[derive(Parser)]
#[command(name = "pollset", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    Wait(wait::Args),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
    #[command(hide = true)]
    Load(serve::load::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Wait(args) => wait::run(args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::Load(args) => serve::load::run(&args),
    };
    match result {
        Ok(status) => status,
        // The reader of the output, such as `head`, has ended: that is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::write_stderr(format_args!("pollset: {error:#}"));
            ExitCode::from(if error.is::<UsageError>() { USAGE_ERROR } else { SYSTEM_ERROR })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
