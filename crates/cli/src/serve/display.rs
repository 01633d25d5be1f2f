//! What a person sees of a running server.

use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanCount, ProgressBar};

use super::report::{Report, Verdict};
use super::server::Counts;

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
        Self {
            bar: ProgressBar::new_spinner(),
            plain_at: Instant::now(),
        }
    }

    pub fn show_crowd(&mut self, report: &Report, asked_for: usize) {
        let line = match report {
            Report::Connecting { connected } => {
                format!("{} of {} clients", count(*connected), count(asked_for))
            }
            Report::Talking {
                connected,
                messages_per_second,
                round_trip,
            } => format!(
                "{} clients, {} messages/s, round trip: median {:.1?}, 99th percentile {:.1?}",
                count(*connected),
                HumanCount(messages_per_second.round() as u64),
                round_trip.median,
                round_trip.percentile_99,
            ),
            Report::Done(_) => return,
        };
        if self.bar.is_hidden() && Instant::now() >= self.plain_at {
            eprintln!("{line}");
            self.plain_at = Instant::now() + PLAIN_EVERY;
        }
        self.bar.set_message(line);
        self.bar.tick();
    }

    pub fn show_server(&mut self, clients: usize, echoed_bytes: u64) {
        let line = format!(
            "{} clients, {} sent back",
            count(clients),
            BinaryBytes(echoed_bytes)
        );
        self.bar.set_message(line);
        self.bar.tick();
    }

    /// Prints a line that stays.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("pollset: {line}"));
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

pub fn print_verdict(verdict: &Verdict, server: &Counts) {
    let Verdict {
        connected,
        active,
        talked_for,
        messages,
        round_trip,
        ..
    } = verdict;
    let rate = *messages as f64 / talked_for.as_secs_f64();
    println!(
        "clients     {}, of which {} talking",
        count(*connected),
        count(*active)
    );
    println!(
        "messages    {} in {talked_for:.1?}, {} per second",
        HumanCount(*messages),
        HumanCount(rate as u64)
    );
    println!(
        "round trip  median {:.1?}, 99th percentile {:.1?}, longest {:.1?}",
        round_trip.median, round_trip.percentile_99, round_trip.longest
    );
    println!(
        "failures    {} lost, {} changed, {} clients dropped{}",
        HumanCount(verdict.lost),
        HumanCount(verdict.corrupted),
        count(verdict.dropped),
        verdict
            .first_failure
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default()
    );
    print_server_summary(server);
}

pub fn print_server_summary(counts: &Counts) {
    println!(
        "server      {} clients accepted, {} sent back, {} connections failed",
        HumanCount(counts.accepted),
        BinaryBytes(counts.echoed_bytes),
        HumanCount(counts.failed)
    );
}

fn count(number: usize) -> HumanCount {
    HumanCount(number as u64)
}
