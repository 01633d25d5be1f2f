use std::hint::black_box;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use arrayvec::ArrayVec;
use pollset::{PollFlags, PollSet};
use popol::{Sources, interest};

use super::waits::add_results;
use crate::crowd::Crowd;
use crate::measure::{Player, Run, calls};
use crate::pollers::{Contestant, bare_poll, rustix};
use crate::report::{Chart, Unit};

const MOST: usize = 64;
const NOW: Option<Duration> = Some(Duration::ZERO);

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "A new object, asked once and dropped";
    let mut chart =
        Chart::new("transient", title, "descriptors watched", "an object", Unit::Nanoseconds);
    let sizes = run.sizes(&[1, 2, 3, 8, 16, MOST]);
    run.expect(sizes.len(), run.rounds());
    for n in sizes {
        let crowd = Crowd::of_sockets(n, |member| member == n / 2)?;
        let numbers = &crowd.numbers()[..];
        let mut players: Vec<_> =
            Contestant::ALL.iter().map(|&contestant| player(contestant, numbers)).collect();
        add_results(run, &mut chart, n, &Contestant::ALL, &mut players)?;
    }
    Ok(vec![chart])
}

fn player(contestant: Contestant, numbers: &[RawFd]) -> Player<'_, f64> {
    match contestant {
        Contestant::Poll => calls(|| {
            let entries = numbers.iter().map(|&fd| bare_poll::entry(fd));
            let mut entries = ArrayVec::<_, MOST>::from_iter(entries);
            assert_eq!(bare_poll::ask(&mut entries, NOW).unwrap(), 1);
            black_box(&entries);
        }),
        Contestant::Rustix => calls(|| {
            let entries = numbers.iter().map(|&fd| rustix::entry(fd, rustix::PollFlags::IN));
            let mut entries = ArrayVec::<_, MOST>::from_iter(entries);
            assert_eq!(rustix::ask(&mut entries, NOW).unwrap(), 1);
            black_box(&entries);
        }),
        Contestant::Ours => {
            let mut events = Vec::new();
            calls(move || {
                let mut set = PollSet::new();
                set.register_all(numbers.iter().map(|&fd| (fd, PollFlags::IN))).unwrap();
                assert_eq!(set.poll_into(&mut events, NOW).unwrap(), 1);
            })
        }
        Contestant::Popol => {
            let mut events = Vec::with_capacity(1);
            calls(move || {
                let mut sources = Sources::with_capacity(numbers.len());
                numbers.iter().for_each(|fd| sources.register(*fd, fd, interest::READ));
                assert_eq!(sources.wait_timeout(&mut events, Duration::ZERO).unwrap(), 1);
                events.clear();
            })
        }
        _ => {
            let mut ready = Vec::new();
            calls(move || {
                let mut poller = contestant.poller(numbers.len()).unwrap();
                for &fd in numbers {
                    poller.add(fd).unwrap();
                }
                ready.clear();
                poller.wait(NOW, &mut ready).unwrap();
                assert_eq!(ready.len(), 1);
            })
        }
    }
}
