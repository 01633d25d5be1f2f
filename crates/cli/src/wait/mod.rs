//! `pollset wait`: the system call for the shell.

mod open;
mod report;
mod target;
mod watch;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::duration;
use report::Format;
use target::Target;
use watch::Watch;

/// Nothing was ready in time.
const TIMED_OUT: u8 = 1;

/// Wait until descriptors, FIFOs, devices or TCP services are ready, and say which.
///
/// Prints one ready target a line, with its events, such as `0 in,hup`. Nothing is ever read from
/// what is watched, so whoever comes next finds all of it.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// A descriptor that the shell opened (0), a path, or tcp:HOST:PORT; each may be followed by
    /// a colon and the events to wait for (3:in, /run/x.fifo:in,hup)
    #[arg(required = true, value_name = "TARGET[:EVENTS]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(Target::parse))]
    targets: Vec<Target>,

    /// Give up after this long: 500ms, 2s, 1m30s; 0 only asks [default: never]
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// Keep reporting: a line each time that the events of a target change
    ///
    /// Ends at the timeout, or when every target is a descriptor or a connection that has hung up.
    /// What was reported is looked at again 20 times a second until its events change, so what is
    /// shorter than that can be missed.
    #[arg(short, long)]
    follow: bool,

    /// Print a JSON object a line: {"target":"0","events":["in","hup"]}
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Events (default: in; for tcp: out):
  in      data to read, a connection to accept, or the end of the stream
  pri     urgent data to read
  out     writing will not block; for tcp: connected
  rdhup   the peer will send no more
  err, hup, nval   an error, hung up, not open: reported whether asked for or not
  rdnorm, rdband, wrnorm, wrband, msg   as in poll(2)

Targets:
  A path is opened for reading, or for writing if the events say out. A path that
  contains a colon is ended by events or one more colon (/tmp/a:b:); a file whose
  name is a number is written ./3. A FIFO that nobody reads yet, and a TCP service
  that refuses, are tried again until the timeout.

  What is written into a FIFO while only pollset has it open is lost when pollset
  ends. Open it in the shell first, and watch the descriptor: exec 3<>FIFO.

Exit status:
  0  something is ready    1  nothing was, in time    2  the command is wrong

Examples:
  Wait until the database is up, 30 seconds at most:
      pollset wait --timeout 30s tcp:localhost:5432 && ./migrate
  Read a line if there is one:
      pollset wait --timeout 0 0 && read -r line
  Serve whichever of two FIFOs has something to say:
      exec 3<>a.fifo 4<>b.fifo
      pollset wait 3 4 | while read -r fd events; do read -r line <&$fd; done
  See when a device speaks and when it falls silent:
      pollset wait --follow --json /dev/ttyUSB0";

pub fn run(args: Args) -> Result<ExitCode> {
    let deadline = args
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let format = if args.json {
        Format::Json
    } else {
        Format::Text
    };
    let mut watch = Watch::new(args.targets)?;
    let mut print = |target: &Target, revents| report::report(format, target, revents);

    let outcome = if args.follow {
        watch.follow(deadline, &mut print)
    } else {
        watch.once(deadline, &mut print)
    };
    match outcome {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => {
            for (label, error) in watch.not_open() {
                eprintln!("pollset: {}: {error}", display(label));
            }
            Ok(ExitCode::from(TIMED_OUT))
        }
        // Whoever read the lines has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

fn display(label: &OsString) -> impl std::fmt::Display + '_ {
    std::path::Path::new(label).display()
}
