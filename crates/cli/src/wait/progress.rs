//! The line on a terminal that says which targets are missing, and how much time is left.

use std::io;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

use super::watch::Watch;
use crate::output;

/// A wait that ends before this time shows no line.
const DELAY: Duration = Duration::from_millis(500);
const UPDATE_INTERVAL: Duration = Duration::from_millis(500);
/// How many targets the line names.
const MAX_NAMED: usize = 3;

pub struct Progress {
    bar: ProgressBar,
    is_shown: bool,
    next_update: Instant,
}

impl Progress {
    /// `None` if standard error is not a terminal.
    pub fn new() -> Option<Self> {
        let bar = ProgressBar::new_spinner()
            .with_style(ProgressStyle::with_template("{wide_msg}").expect("is a valid template"));
        let next_update = Instant::now() + DELAY;
        (!bar.is_hidden()).then(|| Self { bar, is_shown: false, next_update })
    }

    pub fn next_update(&self) -> Instant {
        self.next_update
    }

    /// Rewrites the line, if it is time and this process is in the foreground of its terminal.
    pub fn show(&mut self, watch: &Watch) {
        if Instant::now() >= self.next_update {
            self.next_update = Instant::now() + UPDATE_INTERVAL;
            // Fails if it is not the controlling terminal, which alone has a foreground.
            if tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp()) {
                self.bar.set_message(text(watch));
                self.is_shown = true;
            }
        }
    }

    /// Calls `print` while the line is erased.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        if self.is_shown { self.bar.suspend(print) } else { print() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            self.bar.finish_and_clear();
        }
    }
}

/// `12s left, waiting for tcp:db:5432 (Connection refused), 3 and 2 more`
fn text(watch: &Watch) -> String {
    let mut text = String::new();
    if let Some(deadline) = watch.deadline() {
        let left = deadline.saturating_duration_since(Instant::now());
        let seconds = left.as_millis().div_ceil(1000) as i64;
        text += &format!("{:#} left, ", SignedDuration::from_secs(seconds));
    }
    let mut missing = watch.missing();
    let named: Vec<_> = missing
        .by_ref()
        .take(MAX_NAMED)
        .map(|(label, reason)| match reason {
            Some(reason) => format!("{} ({reason})", label.display()),
            None => label.display().to_string(),
        })
        .collect();
    text += &format!("waiting for {}", named.join(", "));
    let others = missing.count();
    if others > 0 {
        text += &format!(" and {others} more");
    }
    output::printable(&text)
}
