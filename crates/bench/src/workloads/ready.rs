//! Waits with a constant number of ready descriptors.

use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::Result;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

use crate::measure::{Run, timed_round};
use crate::numbers::format_number;
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

pub fn one_ready(run: &Run) -> Result<Vec<Chart>> {
    let chart =
        |name, title| Chart::new(name, title, "descriptors watched", "wait", Unit::Nanoseconds);
    let mut no_timeout = chart("one-ready", "One ready of n, no timeout");
    let mut zero_timeout = chart("one-ready-asking", "One ready of n, timeout 0");
    let mut with_read = chart("one-ready-read", "One of n becomes ready and is read");

    let sizes = run.sizes(&[1, 3, 8, 16, 64, 256, 1_000, 9_000, 19_000]);
    run.set_length(sizes.len() * 3, run.rounds());
    for n in sizes {
        let fds = WatchedFds::eventfds(n, |index| index == n / 2)?;
        add_waits(run, &mut no_timeout, n, 1, &fds, None)?;
        add_waits(run, &mut zero_timeout, n, 1, &fds, Some(Duration::ZERO))?;
        drop(fds);
        add_waits_with_read(run, &mut with_read, n)?;
    }
    Ok(vec![no_timeout, zero_timeout, with_read])
}

pub fn share_ready(run: &Run) -> Result<Vec<Chart>> {
    let sizes = run.sizes(&[16, 1_000, 9_000]);
    let shares = run.sizes(&[1, 5, 10, 25, 50, 75, 100]);
    run.set_length(sizes.len() * shares.len(), run.rounds());
    let mut charts = Vec::new();
    for n in sizes {
        let name = format!("share-ready-{n}");
        let title = format!("A share of {} ready, no timeout", format_number(n as f64));
        let mut chart = Chart::new(&name, &title, "% ready", "wait", Unit::Nanoseconds);
        for &percent in &shares {
            let k = (n * percent).div_ceil(100);
            let is_ready = |index| index * k / n != (index + 1) * k / n;
            add_waits(run, &mut chart, percent, k, &WatchedFds::sockets(n, is_ready)?, None)?;
        }
        charts.push(chart);
    }
    Ok(charts)
}

/// Adds a point at `x`: waits that each report the same `k` descriptors.
fn add_waits(
    run: &Run,
    chart: &mut Chart,
    x: usize,
    k: usize,
    fds: &WatchedFds,
    timeout: Option<Duration>,
) -> Result<()> {
    let fds = fds.raw_fds();
    let mut subjects = Subject::all_for(&fds);
    subjects.push(Subject::EpollWithBookkeeping);
    let mut rounds = Vec::new();
    for &subject in &subjects {
        let mut event_loop = EventLoop::watching(subject, &fds)?;
        rounds.push(timed_round(move || assert_eq!(event_loop.wait_and_rearm(timeout), k)));
    }
    run.add_points(chart, x, &subjects, &mut rounds)
}

/// Each subject has an active descriptor of its own: a write to a shared one would wake the epoll
/// instances of the other subjects, too. The subjects share the idle descriptors.
fn add_waits_with_read(run: &Run, chart: &mut Chart, n: usize) -> Result<()> {
    let idle = WatchedFds::eventfds(n - 1, |_| false)?;
    let mut subjects = Vec::new();
    let mut rounds = Vec::new();
    for subject in Subject::ALL {
        let active = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mut fds = idle.raw_fds();
        fds.insert(n / 2, active.as_raw_fd());
        if !subject.can_watch_all(&fds) {
            continue;
        }
        subjects.push(subject);
        let mut event_loop = EventLoop::watching(subject, &fds)?;
        rounds.push(timed_round(move || {
            write(&active, &1_u64.to_ne_bytes()).expect("an eventfd of 0 can be written");
            let dispatched = event_loop.dispatch(None, |_, fd| {
                assert_eq!(fd, active.as_raw_fd());
                read(&active, &mut [0; 8])?; // resets the counter: nothing is left to read
                Ok(true)
            });
            dispatched.expect("the eventfd is readable");
        }));
    }
    run.add_points(chart, n, &subjects, &mut rounds)
}
