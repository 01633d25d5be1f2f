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
            // Not timed: what has become due while the others had their turn.
            call();
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
