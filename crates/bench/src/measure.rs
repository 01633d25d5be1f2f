//! Contestants measured in turn within one run.

use std::time::{Duration, Instant};

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(4);

/// Nanoseconds that one call of each contestant takes: the median of alternated rounds.
pub fn in_turn<const N: usize>(contestants: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut contestants = contestants.map(|call| {
        let calls = calls_per_round(call);
        (call, calls, Vec::with_capacity(ROUNDS))
    });
    for _ in 0..ROUNDS {
        for (call, calls, samples) in &mut contestants {
            // Not timed: a set re-checks some of its registrations as time goes by. What became due
            // while the others had their turn is done here; what becomes due in this round is part
            // of what it costs. It also gets the caches back from the others.
            time(*call, (*calls / 4).max(1));
            samples.push(time(*call, *calls).as_nanos() as f64 / *calls as f64);
        }
    }
    contestants.map(|(_, _, samples)| median(samples))
}

fn calls_per_round(call: &mut dyn FnMut()) -> u32 {
    let mut calls = 1;
    while time(call, calls) < ROUND {
        calls *= 2;
    }
    calls
}

fn time(call: &mut dyn FnMut(), calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// How one compares to another: as a ratio, and as a difference with so many decimals.
pub fn beside(one: f64, other: f64, decimals: usize) -> String {
    format!("{:.2}, {:+.decimals$}", one / other, one - other)
}
