use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;

use crate::measure::{Run, timed_round};
use crate::pollers::{EventLoop, FD_SETSIZE, Subject};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

const DESCRIPTORS: usize = 100;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "100 descriptors with low and with high numbers";
    let x = "highest descriptor";
    let mut chart = Chart::new("numbering", title, x, "wait", Unit::Nanoseconds);
    let highest = run.sizes(&[150, 300, 450, 600, 750, 900, FD_SETSIZE as usize - 1]);
    run.set_length(highest.len(), run.rounds());
    for highest in highest {
        add_point(run, &mut chart, highest)?;
    }
    Ok(vec![chart])
}

fn add_point(run: &Run, chart: &mut Chart, highest: usize) -> Result<()> {
    let fds = WatchedFds::eventfds(DESCRIPTORS, |index| index == DESCRIPTORS / 2)?
        .renumbered_up_to(highest as RawFd)?;
    let subjects = [Subject::Poll, Subject::Select, Subject::Pollset];
    let mut rounds = Vec::new();
    for subject in subjects {
        let mut event_loop = EventLoop::watching(subject, &fds.raw_fds())?;
        rounds.push(timed_round(move || {
            assert_eq!(event_loop.wait_and_rearm(Some(Duration::ZERO)), 1);
        }));
    }
    run.add_points(chart, highest, &subjects, &mut rounds)
}
