//! The crowd: a process with many clients, most of which are idle.
//!
//! Afterwards there is a roll call: every client, idle or not, says one more message.

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

use super::report::{Report, RoundTrip, Verdict};
use super::talker::{Progress, Talker};
use crate::{duration, output};

const REPORT_EVERY: Duration = Duration::from_millis(250);
/// How long an answer may take before the message counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    pub address: SocketAddr,
    #[arg(long)]
    pub clients: usize,
    #[arg(long)]
    pub active: usize,
    #[arg(long, value_parser = duration::parse)]
    pub duration: Duration,
    #[arg(long)]
    pub size: usize,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let mut crowd = Crowd::connect(args)?;
    let started = Instant::now();
    let active: Vec<_> = evenly_spread(args.active, args.clients).collect();
    crowd.talk(&active, Some(started + args.duration))?;
    let talked_for = started.elapsed();
    let (messages, round_trip) = (crowd.messages, RoundTrip::from(&crowd.round_trips));
    let everyone: Vec<_> = (0..args.clients).collect();
    crowd.talk(&everyone, None)?;

    tell(&Report::Done(Verdict {
        talked_for,
        messages,
        round_trip,
        corrupted: crowd.corrupted,
        lost: crowd.lost,
        dropped: crowd.dropped,
        first_failure: crowd.first_failure,
    }))?;
    Ok(ExitCode::SUCCESS)
}

struct Crowd {
    /// `None`: dropped, or it waited in vain.
    talkers: Vec<Option<Talker>>,
    by_fd: HashMap<RawFd, usize>,
    messages: u64,
    corrupted: u64,
    lost: u64,
    dropped: usize,
    first_failure: Option<String>,
    /// In nanoseconds.
    round_trips: Histogram<u64>,
}

impl Crowd {
    fn connect(args: &Args) -> Result<Self> {
        let mut crowd = Self {
            talkers: Vec::new(),
            by_fd: HashMap::new(),
            messages: 0,
            corrupted: 0,
            lost: 0,
            dropped: 0,
            first_failure: None,
            round_trips: Histogram::new(3)?,
        };
        let mut report_at = Instant::now() + REPORT_EVERY;
        for number in 0..args.clients {
            let talker = Talker::connect(args.address, number as u64, args.size)
                .map_err(explain)
                .with_context(|| format!("client {number} can't connect"))?;
            crowd.by_fd.insert(talker.stream().as_raw_fd(), number);
            crowd.talkers.push(Some(talker));
            if Instant::now() >= report_at {
                let connected = crowd.talkers.len();
                tell(&Report::Connecting { connected })?;
                report_at += REPORT_EVERY;
            }
        }
        Ok(crowd)
    }

    /// Each of `who` says one message after the other until `until`; without it, one each.
    fn talk(&mut self, who: &[usize], until: Option<Instant>) -> Result<()> {
        let set = PollSet::new();
        for &number in who {
            self.advance(&set, number, Talker::say)?;
        }
        let give_up = until.unwrap_or_else(Instant::now) + PATIENCE;
        let mut interval = Interval::new()?;
        let mut events: Vec<Event> = Vec::new();
        while !set.is_empty() {
            set.poll_into(&mut events, give_up.min(interval.ends))?;
            for event in &events {
                let number = self.by_fd[&event.fd];
                if let Some(round_trip) = self.advance(&set, number, Talker::go_on)? {
                    interval.round_trips.record(round_trip.as_nanos() as u64)?;
                    if until.is_some_and(|until| Instant::now() < until) {
                        self.advance(&set, number, Talker::say)?;
                    }
                }
            }
            if Instant::now() >= give_up {
                self.abandon(&set);
                break;
            }
            if Instant::now() >= interval.ends {
                tell(&interval.report(self.by_fd.len()))?;
                self.round_trips.add(&interval.round_trips)?;
                interval = Interval::new()?;
            }
        }
        self.round_trips.add(&interval.round_trips)?;
        Ok(())
    }

    /// Has a talker take a step, and keeps the set true to what it waits for. Returns the time of
    /// the round trip, if that ended it.
    fn advance(
        &mut self,
        set: &PollSet,
        number: usize,
        step: fn(&mut Talker) -> io::Result<Progress>,
    ) -> Result<Option<Duration>> {
        let Some(talker) = &mut self.talkers[number] else {
            return Ok(None);
        };
        let fd = talker.stream().as_raw_fd();
        match step(talker) {
            Ok(Progress::WaitFor(events)) => {
                set.register(fd, events)?;
                return Ok(None);
            }
            Ok(Progress::Back { round_trip, intact }) => {
                set.unregister(fd)?;
                self.messages += u64::from(intact);
                self.corrupted += u64::from(!intact);
                return Ok(Some(round_trip));
            }
            Err(error) => {
                // A failed first step has not registered it.
                let _ = set.unregister(fd);
                self.dropped += 1;
                self.first_failure.get_or_insert(error.to_string());
                self.by_fd.remove(&fd);
                self.talkers[number] = None;
            }
        }
        Ok(None)
    }

    /// Gives up on those whose message is still on its way.
    fn abandon(&mut self, set: &PollSet) {
        for (fd, _) in set.iter() {
            self.lost += 1;
            if let Some(number) = self.by_fd.remove(&fd) {
                self.talkers[number] = None;
            }
        }
    }
}

/// What happened since the last report.
struct Interval {
    began: Instant,
    ends: Instant,
    round_trips: Histogram<u64>,
}

impl Interval {
    fn new() -> Result<Self> {
        let began = Instant::now();
        Ok(Self { began, ends: began + REPORT_EVERY, round_trips: Histogram::new(3)? })
    }

    fn report(&self, connected: usize) -> Report {
        let messages_per_second =
            self.round_trips.len() as f64 / self.began.elapsed().as_secs_f64();
        Report::Talking {
            connected,
            messages_per_second,
            round_trip: RoundTrip::from(&self.round_trips),
        }
    }
}

/// Names the cause of what the system puts as `Cannot assign requested address`.
fn explain(error: io::Error) -> anyhow::Error {
    let has_no_port = Errno::from_io_error(&error) == Some(Errno::ADDRNOTAVAIL);
    let error = anyhow::Error::new(error);
    if has_no_port {
        return error.context(
            "every local port is in use; on Linux, /proc/sys/net/ipv4/ip_local_port_range says \
             which there are",
        );
    }
    error
}

fn evenly_spread(some: usize, of: usize) -> impl Iterator<Item = usize> {
    let spread = move |place| place as u64 * of as u64 / some as u64;
    (0..some).map(move |place| spread(place) as usize)
}

fn tell(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    output::write(&line)
}
