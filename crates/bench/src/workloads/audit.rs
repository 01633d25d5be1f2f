use anyhow::Result;

use crate::measure::{Run, timed_round};
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "The audit at its default and at its slow rate";
    let mut chart = Chart::new("audit", title, "descriptors watched", "wait", Unit::Nanoseconds);
    let sizes = run.sizes(&[16, 64, 256, 1_000, 4_000, 9_000, 19_000]);
    run.set_length(sizes.len(), run.rounds());
    for n in sizes {
        let fds = WatchedFds::eventfds(n, |index| index == n / 2)?;
        let subjects = [Subject::Epoll, Subject::Pollset, Subject::PollsetSlowAudit];
        let mut rounds = Vec::new();
        for subject in subjects {
            let mut event_loop = EventLoop::watching(subject, &fds.raw_fds())?;
            rounds.push(timed_round(move || assert_eq!(event_loop.wait_and_rearm(None), 1)));
        }
        run.add_points(&mut chart, n, &subjects, &mut rounds)?;
    }
    Ok(vec![chart])
}
