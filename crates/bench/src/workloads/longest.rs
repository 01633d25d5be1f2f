use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::measure::{Round, Run, warm_up};
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

/// The first wait of each burst of this many comes right after other work, which takes this long.
const BURST: usize = 500;
const WORK: Duration = Duration::from_millis(30);
/// Bytes that the work writes to: more than fit into the caches.
const MEMORY: usize = 64 << 20;
const CACHE_LINE: usize = 64;

/// Elapsed time, not CPU time: reading the CPU clock takes a system call. On a busy machine another
/// process can preempt a wait for milliseconds, so a single longest wait says little. Hence the
/// rounds: a sample is one statistic of one round, and the spread of the samples shows the noise.
pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart =
        |name, title| Chart::new(name, title, "descriptors watched", "wait", Unit::Nanoseconds);
    let mut charts = [
        chart("longest-median", "Single waits: median"),
        chart("longest-percentile-99", "Single waits: 99th percentile"),
        chart("longest", "Single waits: longest of each round"),
        chart("longest-after-work-median", "First wait after 30 ms of work: median"),
        chart("longest-after-work", "First wait after 30 ms of work: longest of each round"),
    ];
    let sizes = run.sizes(&[1_000, 9_000]);
    let (rounds, waits) = if run.quick { (3, 5_000) } else { (5, 20_000) };
    run.set_length(sizes.len(), rounds);
    let memory = &vec![Cell::new(0); MEMORY][..];
    for n in sizes {
        let fds = WatchedFds::eventfds(n, |index| index == n / 2)?;
        let subjects = [Subject::Epoll, Subject::Pollset, Subject::PollsetSlowAudit];
        let mut measured: Vec<Round<[f64; 5]>> = Vec::new();
        for subject in subjects {
            let mut event_loop = EventLoop::watching(subject, &fds.raw_fds())?;
            warm_up(&mut || wait(&mut event_loop));
            measured.push(Box::new(move || round(&mut event_loop, waits, memory)));
        }
        let names = subjects.map(|subject| (subject.name(), subject.kind()));
        run.add_points_to_all(&mut charts, n, names, rounds, &mut measured)?;
    }
    Ok(charts.into())
}

/// The median, the 99th percentile and the maximum of all waits, then the median and the maximum of
/// those right after work; in nanoseconds.
fn round(event_loop: &mut EventLoop, waits: usize, memory: &[Cell<u8>]) -> Result<[f64; 5]> {
    // Not timed: the checks of the audit that fell due during the other subjects' turns, which take
    // longer than 30 ms.
    (0..BURST).for_each(|_| wait(event_loop));
    let mut all = Histogram::<u64>::new(3)?;
    let mut after_work = all.clone();
    for index in 0..waits {
        let is_after_work = index % BURST == 0;
        if is_after_work {
            work(memory);
        }
        let start = Instant::now();
        wait(event_loop);
        let time = start.elapsed().as_nanos() as u64;
        all.record(time)?;
        if is_after_work {
            after_work.record(time)?;
        }
    }
    let quantile = |times: &Histogram<u64>, share| times.value_at_quantile(share) as f64;
    Ok([
        quantile(&all, 0.5),
        quantile(&all, 0.99),
        all.max() as f64,
        quantile(&after_work, 0.5),
        after_work.max() as f64,
    ])
}

fn wait(event_loop: &mut EventLoop) {
    assert_eq!(event_loop.wait_and_rearm(None), 1);
}

/// Evicts the memory that a wait uses from the caches.
fn work(memory: &[Cell<u8>]) {
    let start = Instant::now();
    while start.elapsed() < WORK {
        for byte in memory.iter().step_by(CACHE_LINE) {
            byte.set(byte.get().wrapping_add(1));
        }
    }
}
