//! Contestants that play rounds in turn within one run.

use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use rustix::time::{ClockId, clock_gettime};

/// How thorough a run is, and how far it has come.
pub struct Run {
    pub quick: bool,
    progress: ProgressBar,
}

/// Plays one round; what came out of it.
pub type Player<'a, T> = Box<dyn FnMut() -> Result<T> + 'a>;

impl Run {
    pub fn new(quick: bool, progress: ProgressBar) -> Self {
        Self { quick, progress }
    }

    /// The sizes to measure at, up to 1,000 if the run is quick.
    pub fn sizes(&self, all: &[usize]) -> Vec<usize> {
        all.iter().copied().filter(|&size| size <= 1_000 || !self.quick).collect()
    }

    /// There are so many fields of players to come.
    pub fn expect(&self, fields: usize, rounds: usize) {
        self.progress.set_length((fields * rounds) as u64);
    }

    pub fn rounds(&self) -> usize {
        if self.quick { 7 } else { 31 }
    }

    /// What came out of each one's rounds. Nobody is always the first.
    pub fn in_turn<T>(&self, rounds: usize, players: &mut [Player<T>]) -> Result<Vec<Vec<T>>> {
        let mut samples: Vec<_> = players.iter().map(|_| Vec::with_capacity(rounds)).collect();
        for round in 0..rounds {
            for turn in 0..players.len() {
                let player = (round + turn) % players.len();
                samples[player].push(players[player]()?);
            }
            self.progress.inc(1);
        }
        Ok(samples)
    }
}

/// A round of as many calls as take some milliseconds; nanoseconds a call.
pub fn calls<'a>(mut call: impl FnMut() + 'a) -> Player<'a, f64> {
    // Longer than a tick of the clock that ours goes by when it looks for closed numbers, so that each
    // round has its part of that.
    const ROUND: Duration = Duration::from_millis(5);

    warm_up(&mut call);
    let mut calls = 1;
    while time(&mut call, calls) < ROUND {
        calls *= 2;
    }
    Box::new(move || {
        // Not timed: a set re-checks some of its registrations as time goes by. What became due
        // while the others had their turn is done here; what becomes due in this round is part of
        // what it costs. It also gets the caches back from the others.
        time(&mut call, (calls / 4).max(1));
        Ok(time(&mut call, calls).as_nanos() as f64 / f64::from(calls))
    })
}

/// Until one of ours has chosen: it pays rent on poll(2) before it buys an epoll instance, and what
/// is measured is how it goes on then.
pub fn warm_up(call: &mut impl FnMut()) {
    const ENOUGH: u32 = 2_000;
    const LONG_ENOUGH: Duration = Duration::from_millis(200);

    let start = processor_time();
    for _ in 0..ENOUGH {
        call();
        if processor_time() - start > LONG_ENOUGH {
            break;
        }
    }
}

fn time(call: &mut impl FnMut(), calls: u32) -> Duration {
    let start = processor_time();
    for _ in 0..calls {
        call();
    }
    processor_time() - start
}

/// What this thread has taken, in the kernel, too. As nothing that is measured sleeps, it is the time
/// that passes on a machine that does nothing else.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("it is not negative")
}
