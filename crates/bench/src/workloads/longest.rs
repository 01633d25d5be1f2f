use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::crowd::Crowd;
use crate::measure::{Player, Run, warm_up};
use crate::pollers::{Contestant, Watching};
use crate::report::{Chart, Unit};

/// One wait in this many comes right after work elsewhere, which takes this long.
const EVERY: usize = 500;
const WORK: Duration = Duration::from_millis(30);
/// What the work writes to, in bytes: more than fits the caches.
const MEMORY: usize = 64 << 20;
const CACHE_LINE: usize = 64;

/// The times are of the clock, not of the processor, whose own clock takes a system call to read. A
/// machine that has other things to do can take the processor away in the middle of a wait, for
/// milliseconds, so one longest wait says little. That is why there are rounds, in turn, and a
/// sample is a figure of one round: how far the samples lie apart shows the noise.
pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart =
        |name, title| Chart::new(name, title, "descriptors watched", "a wait", Unit::Nanoseconds);
    let mut charts = [
        chart("longest-median", "Single waits: the median"),
        chart("longest-percentile-99", "Single waits: the 99th percentile"),
        chart("longest", "Single waits: the longest of a round"),
        chart("longest-after-work-median", "Right after 30 ms of work: the median"),
        chart("longest-after-work", "Right after 30 ms of work: the longest of a round"),
    ];
    let sizes = run.sizes(&[1_000, 9_000]);
    let (rounds, waits) = if run.quick { (3, 5_000) } else { (5, 20_000) };
    run.expect(sizes.len(), rounds);
    let memory = &vec![Cell::new(0); MEMORY][..];
    for n in sizes {
        let crowd = Crowd::of_eventfds(n, |member| member == n / 2)?;
        let contestants = [Contestant::Epoll, Contestant::Ours, Contestant::OursAtLeisure];
        let mut players: Vec<Player<[f64; 5]>> = Vec::new();
        for contestant in &contestants {
            let mut watching = contestant.watching(&crowd.numbers())?;
            warm_up(&mut || wait(&mut watching));
            players.push(Box::new(move || round(&mut watching, waits, memory)));
        }
        let samples = run.in_turn(rounds, &mut players)?;
        for (&contestant, samples) in contestants.iter().zip(samples) {
            for (measure, chart) in charts.iter_mut().enumerate() {
                let samples = samples.iter().map(|sample| sample[measure]).collect();
                chart.add(contestant, n, samples);
            }
        }
    }
    Ok(charts.into())
}

/// Of all waits the median, the 99th percentile and the longest, and of those right after work the
/// median and the longest; in nanoseconds.
fn round(watching: &mut Watching, waits: usize, memory: &[Cell<u8>]) -> Result<[f64; 5]> {
    // Not timed: what became due while the others had their turn, which is more than 30 ms.
    (0..EVERY).for_each(|_| wait(watching));
    let mut all = Histogram::<u64>::new(3)?;
    let mut after_work = all.clone();
    for number in 0..waits {
        let comes_after_work = number % EVERY == 0;
        if comes_after_work {
            work(memory);
        }
        let start = Instant::now();
        wait(watching);
        let time = start.elapsed().as_nanos() as u64;
        all.record(time)?;
        if comes_after_work {
            after_work.record(time)?;
        }
    }
    let quantile = |of: &Histogram<u64>, share| of.value_at_quantile(share) as f64;
    Ok([
        quantile(&all, 0.5),
        quantile(&all, 0.99),
        all.max() as f64,
        quantile(&after_work, 0.5),
        after_work.max() as f64,
    ])
}

fn wait(watching: &mut Watching) {
    assert_eq!(watching.count(None), 1);
}

/// Leaves nothing of what a wait uses in the caches.
fn work(memory: &[Cell<u8>]) {
    let start = Instant::now();
    while start.elapsed() < WORK {
        for byte in memory.iter().step_by(CACHE_LINE) {
            byte.set(byte.get().wrapping_add(1));
        }
    }
}
