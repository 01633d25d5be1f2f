use anyhow::Result;

use super::waits::{add_results, who_can_watch};
use crate::crowd::Crowd;
use crate::measure::{Run, calls};
use crate::pollers::Interest;
use crate::report::{Chart, Unit};

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "One of n is modified before each wait";
    let mut chart = Chart::new(
        "modify",
        title,
        "descriptors watched",
        "a change and a wait",
        Unit::Nanoseconds,
    );
    let sizes = run.sizes(&[1, 8, 64, 1_000, 9_000]);
    run.expect(sizes.len(), run.rounds());
    for n in sizes {
        let crowd = Crowd::of_sockets(n, |member| member == n / 2)?;
        let numbers = crowd.numbers();
        let ready = numbers[n / 2];
        let contestants = who_can_watch(&numbers);
        let mut players = Vec::new();
        for contestant in &contestants {
            let mut watching = contestant.watching(&numbers)?;
            let mut interests = [Interest::ReadAndWrite, Interest::Read].into_iter().cycle();
            players.push(calls(move || {
                let interest = interests.next().expect("there is no end");
                watching.poller.modify(ready, interest).expect("it is watched");
                // To modify it is also to ask to be told again.
                let served = watching.serve(None, |_, fd| {
                    assert_eq!(fd, ready);
                    Ok(false)
                });
                served.expect("it is not touched");
            }));
        }
        add_results(run, &mut chart, n, &contestants, &mut players)?;
    }
    Ok(vec![chart])
}
