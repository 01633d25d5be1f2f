use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use anyhow::Result;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

use crate::crowd::Crowd;
use crate::measure::{Player, Run, calls};
use crate::pollers::Contestant;
use crate::present::plain;
use crate::report::{Chart, Unit};

pub fn one_ready(run: &Run) -> Result<Vec<Chart>> {
    let chart =
        |name, title| Chart::new(name, title, "descriptors watched", "a wait", Unit::Nanoseconds);
    let mut blocking = chart("one-ready", "One ready of n, no timeout");
    let mut asking = chart("one-ready-asking", "One ready of n, timeout 0");
    let mut consumed = chart("one-ready-read", "One of n becomes ready and is read");

    let sizes = run.sizes(&[1, 3, 8, 16, 64, 256, 1_000, 9_000, 19_000]);
    run.expect(sizes.len() * 3, run.rounds());
    for n in sizes {
        let numbers = Crowd::of_eventfds(n, |member| member == n / 2)?;
        add_waits(run, &mut blocking, n, 1, &numbers, None)?;
        add_waits(run, &mut asking, n, 1, &numbers, Some(Duration::ZERO))?;
        drop(numbers);
        add_reads(run, &mut consumed, n)?;
    }
    Ok(vec![blocking, asking, consumed])
}

pub fn share_ready(run: &Run) -> Result<Vec<Chart>> {
    let sizes = run.sizes(&[16, 1_000, 9_000]);
    let shares = run.sizes(&[1, 5, 10, 25, 50, 75, 100]);
    run.expect(sizes.len() * shares.len(), run.rounds());
    let mut charts = Vec::new();
    for n in sizes {
        let name = format!("share-ready-{n}");
        let title = format!("A share of {} ready, no timeout", plain(n as f64));
        let mut chart = Chart::new(&name, &title, "% ready", "a wait", Unit::Nanoseconds);
        for &percent in &shares {
            let k = (n * percent).div_ceil(100);
            let is_ready = |member| member * k / n != (member + 1) * k / n;
            add_waits(run, &mut chart, percent, k, &Crowd::of_sockets(n, is_ready)?, None)?;
        }
        charts.push(chart);
    }
    Ok(charts)
}

/// Waits of each, where `k` of the crowd are ready and stay so.
fn add_waits(
    run: &Run,
    chart: &mut Chart,
    x: usize,
    k: usize,
    crowd: &Crowd,
    timeout: Option<Duration>,
) -> Result<()> {
    let numbers = crowd.numbers();
    let contestants = who_can_watch(&numbers);
    let mut players = Vec::new();
    for contestant in &contestants {
        let mut watching = contestant.watching(&numbers)?;
        players.push(calls(move || assert_eq!(watching.count(timeout), k)));
    }
    add_results(run, chart, x, &contestants, &mut players)
}

/// Each contestant has an active descriptor of its own, so that the others' instances don't hear of
/// it. The idle ones are the same.
fn add_reads(run: &Run, chart: &mut Chart, n: usize) -> Result<()> {
    let idle = Crowd::of_eventfds(n - 1, |_| false)?;
    let mut contestants = Vec::new();
    let mut players = Vec::new();
    for contestant in Contestant::ALL {
        let active = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mut numbers = idle.numbers();
        numbers.insert(n / 2, active.as_raw_fd());
        if !numbers.iter().all(|&fd| contestant.can_watch(fd)) {
            continue;
        }
        contestants.push(contestant);
        let mut watching = contestant.watching(&numbers)?;
        players.push(calls(move || {
            write(&active, &1_u64.to_ne_bytes()).expect("there is room for one");
            let served = watching.serve(None, |_, fd| {
                assert_eq!(fd, active.as_raw_fd());
                read(&active, &mut [0; 8])?; // all that there is
                Ok(true)
            });
            served.expect("it was readable");
        }));
    }
    add_results(run, chart, n, &contestants, &mut players)
}

pub fn who_can_watch(numbers: &[RawFd]) -> Vec<Contestant> {
    let can = |contestant: &Contestant| numbers.iter().all(|&fd| contestant.can_watch(fd));
    Contestant::ALL.into_iter().filter(can).collect()
}

pub fn add_results(
    run: &Run,
    chart: &mut Chart,
    x: usize,
    contestants: &[Contestant],
    players: &mut [Player<f64>],
) -> Result<()> {
    let samples = run.in_turn(run.rounds(), players)?;
    for (&contestant, samples) in contestants.iter().zip(samples) {
        chart.add(contestant, x, samples);
    }
    Ok(())
}
