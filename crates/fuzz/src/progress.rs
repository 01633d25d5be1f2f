//! What a person sees of it.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar};
use pollset::Engine;
use pollset_fuzz::SharedCounts;

/// How often a line is printed where it can't be rewritten.
const PLAIN_EVERY: Duration = Duration::from_secs(60);

pub struct Progress {
    pub programs: u64,
    pub counts: Vec<(Engine, &'static SharedCounts)>,
    pub start: Instant,
    bar: ProgressBar,
    plain_at: Instant,
}

impl Progress {
    pub fn new(engines: &[Engine]) -> Self {
        let start = Instant::now();
        Self {
            programs: 0,
            counts: engines.iter().map(|engine| (*engine, SharedCounts::new())).collect(),
            start,
            bar: ProgressBar::new_spinner(),
            plain_at: start + PLAIN_EVERY,
        }
    }

    /// Shows how far it has come.
    pub fn tick(&mut self) {
        if self.bar.is_hidden() && Instant::now() >= self.plain_at {
            println!("{}", self.line());
            self.plain_at += PLAIN_EVERY;
        }
        if !self.bar.is_hidden() {
            self.bar.set_message(self.line());
            self.bar.tick();
        }
    }

    fn line(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = HumanCount((self.programs as f64 / seconds * 60.0) as u64);
        format!("{} programs in {seconds:.0} s, {rate} a minute", HumanCount(self.programs))
    }

    /// What was done on each engine.
    pub fn report(&self) {
        self.bar.finish_and_clear();
        println!("{}", self.line());
        for (engine, counts) in &self.counts {
            let counts = counts.snapshot();
            let waits = counts.poll_waits + counts.epoll_waits;
            println!(
                "{engine:?}: {} steps, {} waits, {} % of them on epoll, {} comparisons; what was \
                 closed was found {} times, after {:.1?} at the latest",
                HumanCount(counts.steps),
                HumanCount(waits),
                (100 * counts.epoll_waits).checked_div(waits).unwrap_or(0),
                HumanCount(counts.comparisons),
                HumanCount(counts.settled),
                counts.longest,
            );
        }
    }
}
