use anyhow::Result;

use super::waits::add_results;
use crate::crowd::Crowd;
use crate::measure::{Run, calls};
use crate::pollers::Contestant;
use crate::report::{Chart, Unit};

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "Looking for closed numbers, or next to never";
    let mut chart = Chart::new("audit", title, "descriptors watched", "a wait", Unit::Nanoseconds);
    let sizes = run.sizes(&[16, 64, 256, 1_000, 4_000, 9_000, 19_000]);
    run.expect(sizes.len(), run.rounds());
    for n in sizes {
        let crowd = Crowd::of_eventfds(n, |member| member == n / 2)?;
        let contestants = [Contestant::Epoll, Contestant::Ours, Contestant::OursAtLeisure];
        let mut players = Vec::new();
        for contestant in &contestants {
            let mut watching = contestant.watching(&crowd.numbers())?;
            players.push(calls(move || assert_eq!(watching.count(None), 1)));
        }
        add_results(run, &mut chart, n, &contestants, &mut players)?;
    }
    Ok(vec![chart])
}
