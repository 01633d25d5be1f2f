//! The status line on standard error.

use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanCount, ProgressBar};

use super::report::Report;
use crate::output;

/// The maximum time between two updates.
pub const UPDATE_INTERVAL: Duration = Duration::from_millis(250);
/// The interval of the lines if standard error is not a terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(1);

/// On a terminal, one line that is rewritten; elsewhere, a new line at intervals.
pub struct StatusLine {
    bar: ProgressBar,
    next_plain_line: Instant,
}

impl StatusLine {
    pub fn new() -> Self {
        Self { bar: ProgressBar::new_spinner(), next_plain_line: Instant::now() }
    }

    /// Shows a report of the load generator, which is to have `clients` clients.
    pub fn show_report(&mut self, report: &Report, clients: usize) {
        let line = match report {
            Report::Connecting { connected } => {
                format!("{} of {} clients", count(*connected), count(clients))
            }
            Report::Exchanging { connected, messages_per_second, round_trip } => format!(
                "{} clients, {} messages/s, round trip: median {:.1?}, 99th percentile {:.1?}",
                count(*connected),
                HumanCount(messages_per_second.round() as u64),
                round_trip.median,
                round_trip.percentile_99,
            ),
            Report::Done(_) => return,
        };
        if self.bar.is_hidden() && Instant::now() >= self.next_plain_line {
            output::write_stderr(&line);
            self.next_plain_line = Instant::now() + PLAIN_INTERVAL;
        }
        self.bar.set_message(line);
        self.bar.tick();
    }

    /// Shows the state of the server; only on a terminal.
    pub fn show_server(&mut self, clients: usize, echoed_bytes: u64) {
        let line = format!("{} clients, {} sent back", count(clients), BinaryBytes(echoed_bytes));
        self.bar.set_message(line);
        self.bar.tick();
    }

    /// Prints a message above the status line.
    pub fn print(&self, message: &str) {
        self.bar.suspend(|| output::write_stderr(format_args!("pollset: {message}")));
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn count(number: usize) -> HumanCount {
    HumanCount(number as u64)
}
