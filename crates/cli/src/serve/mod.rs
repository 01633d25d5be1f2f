//! `pollset serve`: a TCP echo server on the polling object, and a crowd of clients for it.

mod client;
pub mod crowd;
mod descriptors;
mod display;
mod engine;
mod process;
mod report;
mod server;
mod talker;
mod transfer;

use std::io::{ErrorKind, Read};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::builder::RangedU64ValueParser;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::misuse::Misuse;
use crate::{duration, output};
use descriptors::{make_room, make_room_for};
use display::LiveLine;
use engine::Engine;
use process::{CrowdProcess, News};
use report::Report;
use server::Server;

const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How long clients may take what they are owed when the server has been told to stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serve many TCP clients at the same time, in one thread.
///
/// The server sends back whatever it is sent. Unless --listen is given, a crowd of clients in
/// another process connects to it over the loopback interface; some of them talk, the others are
/// idle, and at the end each of them is heard once more. The exit status is 0 only if every message
/// came back intact and nobody was dropped.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// How many clients there are, talking and idle
    #[arg(short, long, value_name = "N", default_value_t = 5050, value_parser = number())]
    clients: usize,

    /// How many of them talk [default: 50, or all if there are fewer]
    #[arg(short, long, value_name = "N", value_parser = number())]
    active: Option<usize>,

    /// How long they talk: 10s, 1m30s
    #[arg(short, long, value_name = "TIME", default_value = "10s")]
    #[arg(value_parser = duration::parse_positive)]
    duration: Duration,

    /// The size of a message in bytes
    #[arg(short, long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 20))]
    size: usize,

    /// Serve anyone on this address, such as 127.0.0.1:7007, until SIGINT or SIGTERM
    ///
    /// Then nobody is accepted and nothing is answered any more, and clients have 1 second to take
    /// what they are owed; a second signal ends that at once.
    #[arg(short, long, value_name = "ADDR")]
    #[arg(conflicts_with_all = ["clients", "active", "duration", "size"])]
    listen: Option<String>,

    /// What the server asks the kernel with
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
}

const HELP: &str = "\
Clients that misbehave:
  memory     for each client at most 64 KiB in the server, and two buffers of 64 KiB in the system
             (Linux counts its own overhead in, and doubles them); the one that doesn't read what
             comes back is not read from until it does
  turns      in a turn each client is served once, if it is ready: at most 64 KiB read, and twice as
             much sent; and at most 64 new ones are accepted. What comes during a turn is answered
             in the next
  too many   when there is no descriptor or memory for another, new ones wait in the system, and
             are tried every 100 milliseconds
  vanished   on Linux, a client that is gone without a word is noticed after 2 minutes (keepalive);
             if it was owed something, when the system gives up sending (tcp_retries2, about 15
             minutes). One that is there and never reads is kept

Exit status:
  0  all went well           1  something was lost, or the run was stopped early
  2  the command is wrong    3  the system failed, such as an address in use";

/// How many there can be of something that has a descriptor each.
fn number() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=i32::MAX as u64)
}

pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.listen {
        Some(address) => serve_anyone(address, args.engine),
        None => serve_crowd(args),
    }
}

fn serve_anyone(address: &str, engine: Engine) -> Result<ExitCode> {
    let room = make_room()?;
    let mut server = Server::bind(address, engine.into()).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => {
            Misuse(format!("{address} is not an address such as 127.0.0.1:7007")).into()
        }
        _ => anyhow::Error::new(error).context(format!("can't listen on {address}")),
    })?;
    let mut stop = stop_signals()?;
    server.watch(&stop)?;
    output::print(&format!("listening on {}, room for {room} clients\n", server.address()?));

    let mut live = LiveLine::new();
    let mut warned = false;
    while server.turn(Instant::now() + SHOW_EVERY)?.is_empty() {
        live.show_server(server.clients(), server.counts.echoed_bytes);
        if let Some(why) = &server.accept_error
            && !warned
        {
            live.say(&format!("can't accept another client ({why}): new ones have to wait"));
            warned = true;
        }
    }
    drop(live);

    server.dismiss()?;
    // One byte a signal: what is left in there is the second.
    stop.read_exact(&mut [0])?;
    let leave_at = Instant::now() + FAREWELL;
    while server.clients() > 0 && Instant::now() < leave_at && server.turn(leave_at)?.is_empty() {}
    Ok(success_if(output::print(&display::server_summary(&server))))
}

fn serve_crowd(args: &Args) -> Result<ExitCode> {
    let clients = args.clients;
    let active = args.active.unwrap_or(50.min(clients));
    ensure!(active <= clients, Misuse(format!("{active} of {clients} clients can't talk")));
    make_room_for(clients)?;
    let mut server =
        Server::bind((Ipv4Addr::LOCALHOST, 0), args.engine.into()).context("can't listen")?;
    let stop = stop_signals()?;
    server.watch(&stop)?;
    let mut crowd =
        CrowdProcess::start(server.address()?, clients, active, args.duration, args.size)?;
    server.watch(&crowd)?;

    let mut live = LiveLine::new();
    loop {
        let ready = server.turn(Instant::now() + SHOW_EVERY)?;
        if ready.contains(&stop.as_raw_fd()) {
            live.say("stopped before the end");
            return Ok(ExitCode::FAILURE);
        }
        if !ready.contains(&crowd.as_raw_fd()) {
            continue;
        }
        let News::Reports(reports) = crowd.news()? else {
            live.say("the crowd of clients ended early");
            return Ok(ExitCode::FAILURE);
        };
        for report in reports {
            if let Report::Done(verdict) = report {
                drop(live);
                let summary =
                    display::verdict(&verdict, clients, active) + &display::server_summary(&server);
                return Ok(success_if(output::print(&summary) && verdict.is_flawless()));
            }
            live.show_crowd(&report, clients);
        }
    }
}

fn success_if(all_went_well: bool) -> ExitCode {
    if all_went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A stream that has a byte to read for each time that the process has been told to stop.
fn stop_signals() -> Result<UnixStream> {
    let (stop, signalled) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    Ok(stop)
}
