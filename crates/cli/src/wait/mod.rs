//! `pollset wait`: the command line and the exit status.

mod attempts;
mod command;
mod connect;
mod files;
mod follow;
mod inherited;
mod lookup;
mod names;
mod open;
mod progress;
mod report;
mod service;
mod target;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::builder::{OsStringValueParser, TypedValueParser};
use pollset::PollFlags;

use crate::usage_error::UsageError;
use crate::{duration, output};
use progress::Progress;
use report::{Destination, Format, Reporter};
use target::{Condition, Target};
use watch::Watch;

/// Exit status: the time is up.
const TIMED_OUT: u8 = 1;
/// How many targets are named when the time is up.
const MAX_PRINTED_MISSING: usize = 20;

/// Wait for services, files, FIFOs and descriptors, and print which are ready.
///
/// Prints one line for each ready target, with its events, such as `tcp:db:5432 out`. Never reads
/// from a target and never writes to one: all data is left for the next command.
#[derive(clap::Args)]
#[command(after_long_help = include_str!("help.txt"))]
pub struct Args {
    /// tcp:HOST:PORT, unix:PATH, a path, a descriptor that the shell opened (0), or listen:NAME;
    /// each may be followed by a colon and what to wait for (3:in,hup, x.lock:gone)
    #[arg(required = true, value_name = "TARGET[:EVENTS]", allow_negative_numbers = true)]
    #[arg(value_parser = OsStringValueParser::new().try_map(Target::parse))]
    targets: Vec<Target>,

    /// Wait until each target was ready once, not only the first
    ///
    /// A line is printed for each target when it is ready; it is not waited for again.
    #[arg(short, long, conflicts_with = "follow")]
    all: bool,

    /// Stop waiting after this time: 500ms, 2s, 1m30s; 0 asks once [default: never]
    ///
    /// With 0, the command returns at once. Services on this machine have answered by then, unless
    /// their queue of connections is full. Those on other machines, and names other than localhost,
    /// need some time, such as 1s.
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// Print nothing but errors of the command line and of the system
    #[arg(short, long, conflicts_with_all = ["json", "follow"])]
    quiet: bool,

    /// Keep reporting: print a line each time that the events of a target change
    ///
    /// Ends at the timeout, or when every target is a descriptor or a connection that has hung up.
    /// A connection counts as hung up when its peer sends no more (rdhup, always reported
    /// here). A descriptor watched for out doesn't: other processes may write to it.
    ///
    /// A reported target is polled again 20 times a second until its events change, so shorter
    /// changes can be missed.
    #[arg(short, long, conflicts_with = "command")]
    follow: bool,

    /// Print each line as a JSON object
    ///
    /// It has the index of the target, the target, its events, and the time of the line in UTC. The
    /// index is the position of the target on the command line, from 0. It identifies targets whose
    /// names are not UTF-8, which JSON can't represent. Use this option for paths with newlines, too.
    #[arg(long)]
    json: bool,

    /// Then run this command, in place of pollset: same process, its exit status
    ///
    /// The lines are then printed to standard error. If the time is up, the command is not run.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    if args.follow
        && args.targets.iter().any(|target| !matches!(target.condition, Condition::Events(_)))
    {
        bail!(UsageError(
            "--follow reports events; exists and gone are for other waits".to_owned()
        ));
    }
    let extra_events = if args.follow { target::hang_up_events() } else { PollFlags::empty() };
    let has_progress = !args.quiet && !args.follow;
    let destination = match () {
        () if args.quiet => Destination::Nowhere,
        () if args.command.is_empty() => Destination::Stdout,
        () => Destination::Stderr,
    };
    let format = if args.json { Format::Json } else { Format::Text };
    let progress = if has_progress { Progress::new() } else { None };
    let mut reporter = Reporter::new(format, destination, progress, args.follow);
    let mut watch = Watch::new(args.targets, extra_events, deadline)?;
    let succeeded = if args.follow {
        follow::follow(&mut watch, &mut reporter)?
    } else {
        wait(&mut watch, args.all, &mut reporter)?
    };
    drop(reporter);
    if !succeeded {
        if !args.quiet {
            print_missing(&watch, args.all, args.timeout == Some(Duration::ZERO));
        }
        return Ok(ExitCode::from(TIMED_OUT));
    }
    Ok(match args.command.split_first() {
        Some((program, arguments)) => command::run(program, arguments),
        None => ExitCode::SUCCESS,
    })
}

/// Waits until the conditions of some targets hold, or of all, and reports these. Returns false if
/// the time is up.
fn wait(watch: &mut Watch, all: bool, reporter: &mut Reporter) -> Result<bool> {
    loop {
        let met = watch.wait(reporter.next_update())?;
        for &(index, condition) in &met {
            let (position, target) = watch.target(index);
            reporter.report(position, target, condition)?;
            watch.finish(index);
        }
        let is_over = if all { watch.is_done() } else { !met.is_empty() };
        if is_over {
            return Ok(true);
        }
        if watch.is_timed_out() {
            return Ok(false);
        }
        reporter.show_progress(watch);
    }
}

/// Prints why the wait has not ended for each target, if that is known. With `all`, prints each.
fn print_missing(watch: &Watch, all: bool, asked_once: bool) {
    let missing = watch.missing().filter(|(_, reason)| all || reason.is_some());
    let missing: Vec<_> = missing.collect();
    for (label, reason) in missing.iter().take(MAX_PRINTED_MISSING) {
        let (label, reason) = (label.display(), reason.as_deref().unwrap_or("not ready"));
        output::write_stderr(format_args!("pollset: {label}: {reason}"));
    }
    if let Some(others @ 1..) = missing.len().checked_sub(MAX_PRINTED_MISSING) {
        output::write_stderr(format_args!("pollset: and {others} more"));
    }
    if asked_once && watch.needs_time() {
        output::write_stderr("pollset: with --timeout 0 there is no time for an answer; try 1s");
    }
}
