//! What a person sees of a running server.

use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanCount, ProgressBar};

use super::report::{Report, Verdict};
use super::server::Server;
use crate::output;

/// How often a line is printed where it can't be rewritten.
const PLAIN_EVERY: Duration = Duration::from_secs(1);

/// A line on standard error that is rewritten while things go on; on what is not a terminal, a new
/// line now and then.
pub struct LiveLine {
    bar: ProgressBar,
    plain_at: Instant,
}

impl LiveLine {
    pub fn new() -> Self {
        Self { bar: ProgressBar::new_spinner(), plain_at: Instant::now() }
    }

    pub fn show_crowd(&mut self, report: &Report, asked_for: usize) {
        let line = match report {
            Report::Connecting { connected } => {
                format!("{} of {} clients", count(*connected), count(asked_for))
            }
            Report::Talking { connected, messages_per_second, round_trip } => format!(
                "{} clients, {} messages/s, round trip: median {:.1?}, 99th percentile {:.1?}",
                count(*connected),
                HumanCount(messages_per_second.round() as u64),
                round_trip.median,
                round_trip.percentile_99,
            ),
            Report::Done(_) => return,
        };
        if self.bar.is_hidden() && Instant::now() >= self.plain_at {
            output::say(&line);
            self.plain_at = Instant::now() + PLAIN_EVERY;
        }
        self.bar.set_message(line);
        self.bar.tick();
    }

    pub fn show_server(&mut self, clients: usize, echoed_bytes: u64) {
        let line = format!("{} clients, {} sent back", count(clients), BinaryBytes(echoed_bytes));
        self.bar.set_message(line);
        self.bar.tick();
    }

    /// Prints a line that stays.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| output::say(format_args!("pollset: {line}")));
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How the crowd fared, for people.
pub fn verdict(verdict: &Verdict, clients: usize, active: usize) -> String {
    let Verdict { talked_for, messages, round_trip, first_failure, .. } = verdict;
    let rate = *messages as f64 / talked_for.as_secs_f64();
    let why = first_failure.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "clients     {}, of which {} talking\n\
         messages    {} in {talked_for:.1?}, {} per second\n\
         round trip  median {:.1?}, 99th percentile {:.1?}, longest {:.1?}\n\
         failures    {} lost, {} changed, {} clients dropped{why}\n",
        count(clients),
        count(active),
        HumanCount(*messages),
        HumanCount(rate as u64),
        round_trip.median,
        round_trip.percentile_99,
        round_trip.longest,
        HumanCount(verdict.lost),
        HumanCount(verdict.corrupted),
        count(verdict.dropped),
    )
}

/// What the server has done, for people.
pub fn server_summary(server: &Server) -> String {
    let (counts, stats) = (server.counts, server.stats());
    let refused = match stats.refused {
        0 => String::new(),
        times => format!("; epoll could not be had {} times", HumanCount(times)),
    };
    format!(
        "server      {} clients accepted, {} sent back, {} connections failed\n\
         engine      {} waits on epoll, {} on poll{refused}\n",
        HumanCount(counts.accepted),
        BinaryBytes(counts.echoed_bytes),
        HumanCount(counts.failed),
        HumanCount(stats.epoll_waits),
        HumanCount(stats.poll_waits),
    )
}

fn count(number: usize) -> HumanCount {
    HumanCount(number as u64)
}
