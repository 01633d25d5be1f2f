//! `pollset serve`: a TCP echo server on the polling object, and a crowd of clients for it.

mod client;
pub mod crowd;
mod display;
mod process;
mod report;
mod server;
mod talker;

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::builder::RangedU64ValueParser;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::duration;
use display::LiveLine;
use process::{CrowdProcess, News};
use report::Report;
use server::Server;

/// What a process has open besides its clients, and some to spare.
const OTHER_DESCRIPTORS: u64 = 24;
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// Serve many TCP clients at the same time, in one thread.
///
/// The server sends back whatever it is sent. Unless --listen is given, a crowd of clients in
/// another process connects to it over the loopback interface; some of them talk, the others are
/// idle, and at the end each of them is heard once more. The exit status is 0 only if every message
/// came back intact and nobody was dropped.
#[derive(clap::Args)]
pub struct Args {
    /// How many clients there are, talking and idle
    #[arg(short, long, value_name = "N", default_value_t = 5050)]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    clients: usize,

    /// How many of them talk [default: 50, or all if there are fewer]
    #[arg(short, long, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    active: Option<usize>,

    /// How long they talk: 10s, 1m30s
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    duration: Duration,

    /// The size of a message in bytes
    #[arg(short, long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 20))]
    size: usize,

    /// Serve anyone on this address, such as 127.0.0.1:7007, until SIGINT or SIGTERM
    #[arg(short, long, value_name = "ADDR")]
    #[arg(conflicts_with_all = ["clients", "active", "duration", "size"])]
    listen: Option<String>,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.listen {
        Some(address) => serve_anyone(address),
        None => serve_crowd(args),
    }
}

fn serve_anyone(address: &str) -> Result<ExitCode> {
    let room = rlimit::increase_nofile_limit(u64::MAX)?.saturating_sub(OTHER_DESCRIPTORS);
    let mut server = Server::bind(address).with_context(|| format!("can't listen on {address}"))?;
    let stop = stop_signals()?;
    server.watch(&stop)?;
    println!(
        "listening on {}, room for {room} clients",
        server.address()?
    );

    let mut live = LiveLine::new();
    let mut warned = false;
    while server.turn(Instant::now() + SHOW_EVERY)?.is_empty() {
        live.show_server(server.clients(), server.counts.echoed_bytes);
        if server.counts.accept_pauses > 0 && !warned {
            live.say("no descriptor or memory for another client: new ones have to wait");
            warned = true;
        }
    }
    drop(live);
    display::print_server_summary(&server.counts);
    Ok(ExitCode::SUCCESS)
}

fn serve_crowd(args: &Args) -> Result<ExitCode> {
    let active = args.active.unwrap_or(50.min(args.clients));
    ensure!(
        active <= args.clients,
        "{active} of {} clients can't talk",
        args.clients
    );
    make_room_for(args.clients)?;
    let mut server = Server::bind((Ipv4Addr::LOCALHOST, 0)).context("can't listen")?;
    let stop = stop_signals()?;
    server.watch(&stop)?;
    let mut crowd = CrowdProcess::start(
        server.address()?,
        args.clients,
        active,
        args.duration,
        args.size,
    )?;
    server.watch(&crowd)?;

    let mut live = LiveLine::new();
    loop {
        let ready = server.turn(Instant::now() + SHOW_EVERY)?;
        if ready.contains(&stop.as_raw_fd()) {
            return Ok(failure("stopped before the end"));
        }
        if !ready.contains(&crowd.as_raw_fd()) {
            continue;
        }
        let News::Reports(reports) = crowd.news()? else {
            return Ok(failure("the crowd of clients ended early"));
        };
        for report in reports {
            if let Report::Done(verdict) = report {
                drop(live);
                display::print_verdict(&verdict, &server.counts);
                let flawless = verdict.is_flawless();
                return Ok(if flawless {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                });
            }
            live.show_crowd(&report, args.clients);
        }
    }
}

fn failure(what: &str) -> ExitCode {
    eprintln!("pollset: {what}");
    ExitCode::FAILURE
}

/// Raises the limit of descriptors as far as `clients` need, in this process and for the crowd.
fn make_room_for(clients: usize) -> Result<()> {
    let needed = clients as u64 + OTHER_DESCRIPTORS;
    let limit = rlimit::increase_nofile_limit(needed)?;
    ensure!(
        limit >= needed,
        "there is no room for {clients} clients: a process may have {limit} open descriptors here, \
         and that is the hard limit (ulimit -Hn); --clients {} would do",
        limit.saturating_sub(OTHER_DESCRIPTORS)
    );
    Ok(())
}

/// A stream that has something to read once the process has been told to stop.
fn stop_signals() -> Result<UnixStream> {
    let (stop, signalled) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    Ok(stop)
}
