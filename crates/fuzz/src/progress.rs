//! The progress of a run on the terminal, or in plain lines.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar};
use pollset::Engine;
use pollset_fuzz::{SharedCounts, engine_name};

/// How often a line is printed if standard error is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(60);

pub struct Progress {
    pub programs: u64,
    pub counts: Vec<(Option<Engine>, &'static SharedCounts)>,
    pub start: Instant,
    bar: ProgressBar,
    next_line: Instant,
}

impl Progress {
    pub fn new(engines: &[Option<Engine>]) -> Self {
        let start = Instant::now();
        Self {
            programs: 0,
            counts: engines.iter().map(|engine| (*engine, SharedCounts::new())).collect(),
            start,
            bar: ProgressBar::new_spinner(),
            next_line: start + PLAIN_INTERVAL,
        }
    }

    pub fn update(&mut self) {
        if !self.bar.is_hidden() {
            self.bar.set_message(self.line());
            self.bar.tick();
        } else if Instant::now() >= self.next_line {
            println!("{}", self.line());
            self.next_line += PLAIN_INTERVAL;
        }
    }

    fn line(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = HumanCount((self.programs as f64 / seconds * 60.0) as u64);
        format!("{} programs in {seconds:.0} s, {rate} a minute", HumanCount(self.programs))
    }

    /// Prints the totals, and the counts of each engine.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        println!("{}", self.line());
        for (engine, counts) in &self.counts {
            let counts = counts.snapshot();
            let waits = counts.poll_waits + counts.epoll_waits;
            print!(
                "{}: {} operations, {} waits ({} % on epoll), {} comparisons",
                engine_name(*engine),
                HumanCount(counts.ops),
                HumanCount(waits),
                (100 * counts.epoll_waits).checked_div(waits).unwrap_or(0),
                HumanCount(counts.comparisons),
            );
            match counts.audits {
                0 => println!(),
                audits => println!(
                    ", {} audits, stale entries detected within {:.1?}",
                    HumanCount(audits),
                    counts.longest_detection,
                ),
            }
        }
    }
}
