//! The function for an array beside the bare calls.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use pollset::{PollFd, PollFlags};

use crate::measure::{Run, timed_round};
use crate::pollers::{bare_poll, rustix};
use crate::report::{Chart, Kind, Unit};
use crate::watched_fds::WatchedFds;

/// Not inlined into the loop of the round: the first return after a system call takes 100 ns on some
/// processors, and each call in a program is followed by one.
type Call = Box<dyn FnMut() -> io::Result<usize>>;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart = |name, title, timeout| {
        (Chart::new(name, title, "descriptors polled", "call", Unit::Nanoseconds), timeout)
    };
    let mut charts = [
        chart("one-shot-asking", "An array polled once, timeout 0", Some(Duration::ZERO)),
        chart("one-shot", "An array polled once, no timeout", None),
        chart("one-shot-second", "An array polled once, timeout 1 s", Some(Duration::from_secs(1))),
    ];
    let sizes = run.sizes(&[1, 2, 3, 8, 16, 64]);
    run.set_length(sizes.len() * charts.len(), run.rounds());
    for n in sizes {
        let sockets = WatchedFds::sockets(n, |index| index == n / 2)?;
        for (chart, timeout) in &mut charts {
            add_points(run, chart, &sockets.raw_fds(), *timeout)?;
        }
    }
    Ok(charts.map(|(chart, _)| chart).into())
}

fn add_points(
    run: &Run,
    chart: &mut Chart,
    fds: &[RawFd],
    timeout: Option<Duration>,
) -> Result<()> {
    let [mut for_poll, mut for_ppoll] =
        [(); 2].map(|()| Vec::from_iter(fds.iter().map(|&fd| bare_poll::entry(fd))));
    let mut for_rustix =
        Vec::from_iter(fds.iter().map(|&fd| rustix::entry(fd, rustix::PollFlags::IN)));
    let mut for_pollset = Vec::from_iter(fds.iter().map(|&fd| PollFd::new(fd, PollFlags::IN)));
    let subjects: [(&str, Kind, Call); 4] = [
        ("poll(2)", Kind::Bare, Box::new(move || bare_poll::poll(&mut for_poll, timeout))),
        ("ppoll(2)", Kind::Bare, Box::new(move || bare_poll::ppoll(&mut for_ppoll, timeout))),
        ("rustix", Kind::Peer, Box::new(move || Ok(rustix::wait(&mut for_rustix, timeout)?))),
        ("pollset::poll", Kind::Ours, Box::new(move || pollset::poll(&mut for_pollset, timeout))),
    ];
    let mut rounds = Vec::new();
    let mut names = Vec::new();
    for (name, kind, mut call) in subjects {
        names.push((name, kind));
        rounds.push(timed_round(move || assert_eq!(call().unwrap(), 1)));
    }
    let samples = run.interleave(run.rounds(), &mut rounds)?;
    for ((name, kind), samples) in names.into_iter().zip(samples) {
        chart.add(name, kind, fds.len(), samples);
    }
    Ok(())
}
