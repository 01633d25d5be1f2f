//! `pollset wait`: the system call for the shell.

mod open;
mod report;
mod target;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::{duration, output};
use report::{Format, report};
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

    /// Give up after this long: 500ms, 2s, 1m30s; 0 asks once [default: never]
    ///
    /// The first attempt at a tcp: target has 1 second even if this is shorter, so with 0 that is
    /// one attempt of at most 1 second.
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// Keep reporting: a line each time that the events of a target change
    ///
    /// Ends at the timeout, or when every target is a descriptor or a connection that has hung up.
    /// A connection counts as hung up once its peer will send no more (rdhup, reported here whether
    /// asked for or not), unless it is a descriptor watched for out, which others may write to.
    ///
    /// What was reported is looked at again 20 times a second until its events change, so what is
    /// shorter than that can be missed.
    #[arg(short, long)]
    follow: bool,

    /// Print a JSON object a line: {"index":0,"target":"0","events":["in","hup"]}
    ///
    /// The index is the place of the target on the command line, from 0. It tells apart what the
    /// name can't: JSON has no place for names that are not UTF-8. Use this for paths that contain
    /// a newline, too.
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

  A FIFO that is named by its path is open only until pollset ends. Unless others
  have it open, what was written to it is lost then, and its reader sees the end.
  So open it in the shell first, and watch the descriptor: exec 3<>FIFO, or
  exec 3>FIFO, which waits for a reader.

  If 0, 1 or 2 is closed (0<&-), /dev/null is in its place, which is always ready.

Exit status:
  0  something is ready      1  nothing was, in time
  2  the command is wrong    3  the system failed, such as a full disk

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
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let format = if args.json { Format::Json } else { Format::Text };
    let mut print = |index, target: &Target, revents| report(format, index, target, revents);
    let (mut watch, ready);
    if args.follow {
        watch = Watch::for_long(args.targets, deadline)?;
        ready = watch.follow(&mut print)?;
    } else {
        watch = Watch::for_once(args.targets, deadline)?;
        ready = watch.once(&mut print)?;
    }
    if ready {
        return Ok(ExitCode::SUCCESS);
    }
    for (label, why) in watch.not_open() {
        output::say(format_args!("pollset: {}: {why}", label.display()));
    }
    Ok(ExitCode::from(TIMED_OUT))
}
