use anyhow::Result;

use crate::measure::{Run, timed_round};
use crate::pollers::{EventLoop, Interest, Subject};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "One of n is modified before each wait";
    let x = "descriptors watched";
    let mut chart = Chart::new("modify", title, x, "change and wait", Unit::Nanoseconds);
    let sizes = run.sizes(&[1, 8, 64, 1_000, 9_000]);
    run.set_length(sizes.len(), run.rounds());
    for n in sizes {
        let sockets = WatchedFds::sockets(n, |index| index == n / 2)?;
        let fds = sockets.raw_fds();
        let ready = fds[n / 2];
        let subjects = Subject::all_for(&fds);
        let mut rounds = Vec::new();
        for &subject in &subjects {
            let mut event_loop = EventLoop::watching(subject, &fds)?;
            let mut interests = [Interest::ReadAndWrite, Interest::Read].into_iter().cycle();
            rounds.push(timed_round(move || {
                let interest = interests.next().expect("a cycle has no end");
                event_loop.poller.modify(ready, interest).expect("the descriptor is registered");
                // The next call modifies the registration, which re-arms it: no need to do it here.
                let dispatched = event_loop.dispatch(None, |_, fd| {
                    assert_eq!(fd, ready);
                    Ok(false)
                });
                dispatched.expect("the handler can't fail");
            }));
        }
        run.add_points(&mut chart, n, &subjects, &mut rounds)?;
    }
    Ok(vec![chart])
}
