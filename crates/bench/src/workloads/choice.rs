//! The cost of the chosen engine beside the better one.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;

use crate::measure::{Run, WarmUp, timed_round_after};
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Row, Target, Unit};
use crate::watched_fds::WatchedFds;

pub const SUBJECTS: [Subject; 3] =
    [Subject::Pollset, Subject::PollsetOnPoll, Subject::PollsetOnEpoll];

/// 9,000 connections, the most that are watched, take 18,000 descriptors.
const SIZES: [usize; 11] = [4, 8, 9, 16, 32, 64, 128, 256, 1_000, 4_000, 9_000];
const QUICK_SIZES: [usize; 6] = [4, 8, 16, 64, 256, 1_000];

const TARGET: Target = Target { ratio: 1.1, difference: 40.0 };

/// pollset has to choose well after this many waits. Where they take long, it has fewer.
const WARM_UP: WarmUp = WarmUp { calls: 1_000, max_time: Duration::from_secs(3) };

/// Creates `n` descriptors, of which those with the given indices are ready.
type Create = fn(usize, &dyn Fn(usize) -> bool) -> io::Result<WatchedFds>;

const KINDS: [(&str, Create); 3] = [
    ("eventfds", |n, is_ready| WatchedFds::eventfds(n, is_ready)),
    ("Unix sockets", |n, is_ready| WatchedFds::sockets(n, is_ready)),
    ("TCP sockets", |n, is_ready| WatchedFds::tcp_sockets(n, is_ready)),
];

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart = |name, title| {
        Chart::new(name, title, "descriptors watched", "wait", Unit::Nanoseconds)
            .with_target(TARGET)
    };
    let mut no_timeout = chart("choice-no-timeout", "The choice of the engine, no timeout");
    let mut zero_timeout = chart("choice-timeout-0", "The choice of the engine, timeout 0");

    let sizes = if run.quick { &QUICK_SIZES[..] } else { &SIZES };
    let rounds = if run.quick { 5 } else { 9 };
    let points = sizes.iter().flat_map(|&n| numbers_ready(n));
    // With none ready, a wait without a timeout would not return.
    let points: usize = points.map(|(_, ready)| if ready == 0 { 1 } else { 2 }).sum();
    run.set_length(KINDS.len() * points, rounds);
    for (kind, create) in KINDS {
        // The largest first: it has all shares, so the rows of the charts are in order.
        for &n in sizes.iter().rev() {
            for (share, ready) in numbers_ready(n) {
                let fds = create(n, &|index| index * ready / n != (index + 1) * ready / n)?;
                let row = Row { group: kind.to_owned(), name: share.to_owned() };
                let add_point = |chart: &mut Chart, timeout| {
                    add_point(run, chart, &row, rounds, &fds.raw_fds(), ready, timeout)
                };
                add_point(&mut zero_timeout, Some(Duration::ZERO))?;
                if ready > 0 {
                    add_point(&mut no_timeout, None)?;
                }
            }
        }
    }
    Ok(vec![no_timeout, zero_timeout])
}

fn add_point(
    run: &Run,
    chart: &mut Chart,
    row: &Row,
    rounds: usize,
    fds: &[RawFd],
    ready: usize,
    timeout: Option<Duration>,
) -> Result<()> {
    let mut measured = Vec::new();
    for subject in SUBJECTS {
        let mut event_loop = EventLoop::watching(subject, fds)?;
        let wait = move || assert_eq!(event_loop.wait_and_rearm(timeout), ready);
        measured.push(timed_round_after(WARM_UP, wait));
    }
    let samples = run.interleave(rounds, &mut measured)?;
    for (subject, samples) in SUBJECTS.iter().zip(samples) {
        chart.add_to_row(Some(row), subject.name(), subject.kind(), fds.len(), samples);
    }
    Ok(())
}

/// The shares of `n` to measure and the number of ready descriptors of each, without repetitions.
fn numbers_ready(n: usize) -> Vec<(&'static str, usize)> {
    let percent = |percent: usize| (n * percent).div_ceil(100);
    let mut numbers = vec![
        ("none ready", 0),
        ("one ready", 1),
        ("5 % ready", percent(5)),
        ("10 % ready", percent(10)),
        ("25 % ready", percent(25)),
        ("50 % ready", percent(50)),
        ("75 % ready", percent(75)),
        ("all ready", n),
    ];
    numbers.dedup_by_key(|(_, ready)| *ready);
    numbers
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::*;
    use crate::report::Kind;

    #[test]
    fn pollset_is_measured_beside_its_forced_engines() -> Result<()> {
        let run = Run::new(true, ProgressBar::hidden());
        let mut chart = Chart::new("", "", "", "", Unit::Nanoseconds);
        let row = Row { group: "TCP sockets".into(), name: "none ready".into() };
        let fds = WatchedFds::tcp_sockets(4, |_| false)?;
        add_point(&run, &mut chart, &row, 2, &fds.raw_fds(), 0, Some(Duration::ZERO))?;
        let kinds: Vec<Kind> = chart.series.iter().map(|series| series.kind).collect();
        assert!(kinds == [Kind::Ours, Kind::OursForced, Kind::OursForced]);
        for series in chart.series {
            assert_eq!(series.row.as_ref(), Some(&row));
            assert_eq!(series.points[0].samples.len(), 2);
        }
        Ok(())
    }

    #[test]
    fn a_small_set_has_each_number_of_ready_descriptors_once() {
        let expected = [
            ("none ready", 0),
            ("one ready", 1),
            ("50 % ready", 2),
            ("75 % ready", 3),
            ("all ready", 4),
        ];
        assert_eq!(numbers_ready(4), expected);
        assert_eq!(numbers_ready(9_000).len(), 8);
    }
}
