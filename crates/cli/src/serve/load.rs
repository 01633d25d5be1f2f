//! The load generator: a process with many simulated clients, most of which are idle.
//!
//! After that, there is a final check: every client, active or idle, sends one more message.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use pollset::{Event, PollSet};
use rustix::io::Errno;

use super::client::{Client, Progress};
use super::report::{Report, RoundTrip, Totals};
use crate::{duration, output};

const REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// A message counts as lost if its echo takes longer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    server: SocketAddr,
    #[command(flatten)]
    workload: Workload,
}

#[derive(clap::Args)]
pub struct Workload {
    #[arg(long)]
    pub clients: usize,
    /// The number of clients that send messages.
    #[arg(long)]
    pub active: usize,
    /// The time for which they send messages.
    #[arg(long, value_parser = duration::parse)]
    pub duration: Duration,
    /// The size of a message in bytes.
    #[arg(long)]
    pub size: usize,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let Workload { clients, active, duration, .. } = args.workload;
    let mut load = Load::connect(args)?;
    let start = Instant::now();
    let active: Vec<_> = evenly_spaced(active, clients).collect();
    load.exchange_messages(&active, Some(start + duration))?;
    let exchange_time = start.elapsed();
    let (messages, round_trip) = (load.messages, RoundTrip::from(&load.round_trips));
    let all: Vec<_> = (0..clients).collect();
    load.exchange_messages(&all, None)?;

    print(&Report::Done(Totals {
        exchange_time,
        messages,
        round_trip,
        corrupted: load.corrupted,
        lost: load.lost,
        dropped: load.dropped,
        first_failure: load.first_failure,
    }))?;
    Ok(ExitCode::SUCCESS)
}

struct Load {
    /// `None`: the connection has failed, or an echo has timed out.
    clients: Vec<Option<Client>>,
    /// The index in `clients` of each descriptor.
    indices: HashMap<RawFd, usize>,
    messages: u64,
    corrupted: u64,
    lost: u64,
    dropped: usize,
    first_failure: Option<String>,
    /// In nanoseconds.
    round_trips: Histogram<u64>,
}

impl Load {
    fn connect(args: &Args) -> Result<Self> {
        let Workload { clients, size, .. } = args.workload;
        let mut load = Self {
            clients: Vec::new(),
            indices: HashMap::new(),
            messages: 0,
            corrupted: 0,
            lost: 0,
            dropped: 0,
            first_failure: None,
            round_trips: Histogram::new(3)?,
        };
        let mut next_report = Instant::now() + REPORT_INTERVAL;
        for index in 0..clients {
            let client = Client::connect(args.server, index as u64, size)
                .map_err(explain_connect_error)
                .with_context(|| format!("client {index} can't connect"))?;
            load.indices.insert(client.stream().as_raw_fd(), index);
            load.clients.push(Some(client));
            if Instant::now() >= next_report {
                let connected = load.clients.len();
                print(&Report::Connecting { connected })?;
                next_report += REPORT_INTERVAL;
            }
        }
        Ok(load)
    }

    /// Has each of the given clients send one message after another until `end`; without `end`, one
    /// message each.
    fn exchange_messages(&mut self, indices: &[usize], end: Option<Instant>) -> Result<()> {
        let set = PollSet::new();
        for &index in indices {
            self.advance(&set, index, Client::start_message)?;
        }
        let deadline = end.unwrap_or_else(Instant::now) + REPLY_TIMEOUT;
        let mut interval = Interval::new()?;
        let mut events: Vec<Event> = Vec::new();
        while !set.is_empty() {
            set.poll_into(&mut events, deadline.min(interval.end))?;
            for event in &events {
                let index = self.indices[&event.fd];
                if let Some(round_trip) = self.advance(&set, index, Client::continue_message)? {
                    interval.round_trips.record(round_trip.as_nanos() as u64)?;
                    if end.is_some_and(|end| Instant::now() < end) {
                        self.advance(&set, index, Client::start_message)?;
                    }
                }
            }
            if Instant::now() >= deadline {
                self.count_lost(&set);
                break;
            }
            if Instant::now() >= interval.end {
                print(&interval.report(self.indices.len()))?;
                self.round_trips.add(&interval.round_trips)?;
                interval = Interval::new()?;
            }
        }
        self.round_trips.add(&interval.round_trips)?;
        Ok(())
    }

    /// Advances a client by one step, and registers the events that it then waits for. Returns the
    /// round-trip time if the echo is complete.
    fn advance(
        &mut self,
        set: &PollSet,
        index: usize,
        step: fn(&mut Client) -> io::Result<Progress>,
    ) -> Result<Option<Duration>> {
        let Some(client) = &mut self.clients[index] else {
            return Ok(None);
        };
        let fd = client.stream().as_raw_fd();
        match step(client) {
            Ok(Progress::WaitFor(events)) => {
                set.register(fd, events)?;
                return Ok(None);
            }
            Ok(Progress::Echoed { round_trip, is_intact }) => {
                set.unregister(fd)?;
                self.messages += u64::from(is_intact);
                self.corrupted += u64::from(!is_intact);
                return Ok(Some(round_trip));
            }
            Err(error) => {
                // It is not registered if its first step has failed.
                let _ = set.unregister(fd);
                self.dropped += 1;
                self.first_failure.get_or_insert(error.to_string());
                self.indices.remove(&fd);
                self.clients[index] = None;
            }
        }
        Ok(None)
    }

    /// Counts the messages without an echo as lost, and drops their clients.
    fn count_lost(&mut self, set: &PollSet) {
        for (fd, _) in set.iter() {
            self.lost += 1;
            if let Some(index) = self.indices.remove(&fd) {
                self.clients[index] = None;
            }
        }
    }
}

/// The time between two reports.
struct Interval {
    start: Instant,
    end: Instant,
    round_trips: Histogram<u64>,
}

impl Interval {
    fn new() -> Result<Self> {
        let start = Instant::now();
        Ok(Self { start, end: start + REPORT_INTERVAL, round_trips: Histogram::new(3)? })
    }

    fn report(&self, connected: usize) -> Report {
        let messages_per_second =
            self.round_trips.len() as f64 / self.start.elapsed().as_secs_f64();
        Report::Exchanging {
            connected,
            messages_per_second,
            round_trip: RoundTrip::from(&self.round_trips),
        }
    }
}

/// Adds the cause of `EADDRNOTAVAIL`, whose text is `Cannot assign requested address`.
fn explain_connect_error(error: io::Error) -> anyhow::Error {
    let has_no_port = Errno::from_io_error(&error) == Some(Errno::ADDRNOTAVAIL);
    let error = anyhow::Error::new(error);
    if has_no_port {
        return error.context(
            "every local port is in use; on Linux, /proc/sys/net/ipv4/ip_local_port_range has the \
             range of ports",
        );
    }
    error
}

/// `count` indices below `total`, at equal distances.
fn evenly_spaced(count: usize, total: usize) -> impl Iterator<Item = usize> {
    let spread = move |position| position as u64 * total as u64 / count as u64;
    (0..count).map(move |position| spread(position) as usize)
}

fn print(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    output::write_stdout(&line)
}
