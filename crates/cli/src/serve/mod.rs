//! `pollset serve`: the command line and the exit status.

mod client;
mod connection;
mod engine;
mod fd_limit;
mod listen;
pub mod load;
mod load_process;
mod load_test;
mod report;
mod server;
mod signals;
mod status_line;
mod summary;
mod transfer;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::builder::RangedU64ValueParser;

use crate::duration;
use crate::usage_error::UsageError;
use engine::Engine;
use load::Workload;

/// Serve many TCP clients at the same time, in one thread: an echo server.
///
/// The server sends back all data. Unless --listen is given, a load generator in another process
/// connects clients over the loopback interface: some send messages, the others are idle, and at
/// the end each of them sends one more message. The exit status is 0 only if every message came
/// back intact and no client was dropped.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The number of clients, active and idle
    #[arg(short, long, value_name = "N", default_value_t = 5050, value_parser = fd_count())]
    clients: usize,

    /// How many of them are active [default: 50, or all if there are fewer]
    #[arg(short, long, value_name = "N", value_parser = fd_count())]
    active: Option<usize>,

    /// How long they send messages: 10s, 1m30s
    #[arg(short, long, value_name = "TIME", default_value = "10s")]
    #[arg(value_parser = duration::parse_positive)]
    duration: Duration,

    /// The size of a message in bytes
    #[arg(short, long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 20))]
    size: usize,

    /// Serve all clients on this address, such as 127.0.0.1:7007, until SIGINT or SIGTERM
    ///
    /// After the signal, the server accepts no clients and discards what they send. They have 1
    /// second to receive the rest of their data; a second signal ends the server at once.
    #[arg(short, long, value_name = "ADDR")]
    #[arg(conflicts_with_all = ["clients", "active", "duration", "size"])]
    listen: Option<String>,

    /// The system call that the server waits with
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
}

const HELP: &str = "\
Limits for clients that misbehave:
  memory     for each client at most 64 KiB in the server, and two buffers
             of 64 KiB in the kernel (Linux doubles them, for its own
             overhead). The server reads from a client again only after it
             has sent back all data read before
  turns      in a turn the server reads at most 64 KiB from each ready
             client, sends it at most twice as much, and accepts at most 64
             new clients. Data that arrives during a turn is handled in the
             next
  too many   without a descriptor or memory for another client, new ones
             wait in the kernel, and the server tries to accept them every
             100 milliseconds
  vanished   on Linux, keepalive detects after 2 minutes that a client is
             gone without closing its connection; if it has not acknowledged
             data, the kernel first retransmits for about 15 minutes
             (tcp_retries2). A client that is there and never reads stays
             connected

Exit status:
  0  success
  1  a message or client was lost, or the run was stopped early
  2  the command line is wrong
  3  the system failed, such as an address in use";

/// Parses the number of things that need a descriptor each.
fn fd_count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=i32::MAX as u64)
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let is_success = match &args.listen {
        Some(address) => listen::run(address, args.engine.into())?,
        None => load_test::run(&args.workload()?, args.engine.into())?,
    };
    Ok(if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    fn workload(&self) -> Result<Workload> {
        let &Self { clients, duration, size, .. } = self;
        let active = self.active.unwrap_or(50.min(clients));
        ensure!(
            active <= clients,
            UsageError(format!("--active {active} is more than --clients {clients}"))
        );
        Ok(Workload { clients, active, duration, size })
    }
}
