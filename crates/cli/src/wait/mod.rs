//! `pollset wait`: the command line and the exit status.

mod follow;
mod open;
mod pending;
mod report;
mod target;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser};
use pollset::PollFlags;

use crate::{duration, output};
use report::{Format, report};
use target::Target;
use watch::Watch;

/// Exit status: nothing was ready in time.
const TIMED_OUT: u8 = 1;

/// Wait until descriptors, FIFOs, devices or TCP services are ready, and print which are.
///
/// Prints one line for each ready target, with its events, such as `0 in,hup`. Never reads from a
/// target: all data is left for the next command.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// A descriptor that the shell opened (0), a path, or tcp:HOST:PORT; each may be followed by
    /// a colon and the events to wait for (3:in, /run/x.fifo:in,hup)
    #[arg(required = true, value_name = "TARGET[:EVENTS]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(Target::parse))]
    targets: Vec<Target>,

    /// Stop waiting after this time: 500ms, 2s, 1m30s; 0 polls once [default: never]
    ///
    /// The first attempt to connect to a tcp: target may take 1 second even if this is shorter. So
    /// with 0 there is one attempt, of at most 1 second.
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// Keep reporting: print a line each time that the events of a target change
    ///
    /// Ends at the timeout, or when every target is a descriptor or a connection that has hung up.
    /// A connection counts as hung up when its peer sends no more (rdhup, always reported
    /// here). A descriptor watched for out doesn't: other processes may write to it.
    ///
    /// A reported target is polled again 20 times a second until its events change, so shorter
    /// changes can be missed.
    #[arg(short, long)]
    follow: bool,

    /// Print each line as a JSON object: {"index":0,"target":"0","events":["in","hup"]}
    ///
    /// The index is the position of the target on the command line, from 0. It identifies targets
    /// whose names are not UTF-8, which JSON can't represent. Use this option for paths with
    /// newlines, too.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Events (default: in; for tcp: out):
  in      data to read, a connection to accept, or the end of the stream
  pri     urgent data to read
  out     writing will not block; for tcp: connected
  rdhup   the peer has shut down its side and sends no more
  err, hup, nval   an error, hung up, not open: always reported
  rdnorm, rdband, wrnorm, wrband, msg   as in poll(2)

Targets:
  A path is opened for reading, or for writing if the events contain out. After a path
  that contains a colon, write events or one more colon (/tmp/a:b:). Write ./3 for a
  file whose name is a number. A FIFO without a reader, and a TCP service that refuses
  the connection, are tried again until the timeout.

  A FIFO given by its path is open only until pollset ends. Unless another process has
  it open, data written to it is lost then, and its reader sees the end of the stream.
  To avoid that, open it in the shell first and wait for the descriptor: exec 3<>FIFO,
  or exec 3>FIFO, which waits for a reader.

  If 0, 1 or 2 is closed (0<&-), /dev/null is opened in its place: always ready.

Exit status:
  0  a target is ready           1  no target was ready in time
  2  the command line is wrong   3  the system failed, such as a full disk

Examples:
  Wait until the database is up, 30 seconds at most:
      pollset wait --timeout 30s tcp:localhost:5432 && ./migrate
  Read a line if there is one:
      pollset wait --timeout 0 0 && read -r line
  Read lines from two FIFOs as they arrive:
      exec 3<>a.fifo 4<>b.fifo
      pollset wait 3 4 | while read -r fd events; do read -r line <&$fd; done
  Print when a device starts and stops sending data:
      pollset wait --follow --json /dev/ttyUSB0";

pub fn run(args: Args) -> Result<ExitCode> {
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let format = if args.json { Format::Json } else { Format::Text };
    let mut print = |index, target: &Target, revents| report(format, index, target, revents);
    let extra_events = if args.follow { follow::extra_events() } else { PollFlags::empty() };
    let mut watch = Watch::new(args.targets, extra_events, deadline)?;
    let reported = if args.follow {
        follow::follow(&mut watch, &mut print)?
    } else {
        watch.report_once(&mut print)?
    };
    if reported {
        return Ok(ExitCode::SUCCESS);
    }
    for (label, reason) in watch.not_open() {
        output::write_stderr(format_args!("pollset: {}: {reason}", label.display()));
    }
    Ok(ExitCode::from(TIMED_OUT))
}
