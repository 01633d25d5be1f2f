use std::hint::black_box;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use arrayvec::ArrayVec;
use pollset::{PollFd, PollFlags, PollSet};
use popol::{Sources, interest};

use crate::measure::{Round, Run, timed_round};
use crate::pollers::{Subject, bare_poll, rustix};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

const MAX_DESCRIPTORS: usize = 64;
const ZERO: Option<Duration> = Some(Duration::ZERO);

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "A new object, polled once and dropped";
    let mut chart =
        Chart::new("transient", title, "descriptors watched", "object", Unit::Nanoseconds);
    let sizes = run.sizes(&[1, 2, 3, 8, 16, MAX_DESCRIPTORS]);
    run.set_length(sizes.len(), run.rounds());
    for n in sizes {
        let sockets = WatchedFds::sockets(n, |index| index == n / 2)?;
        let fds = &sockets.raw_fds()[..];
        let mut subjects = Vec::from(Subject::ALL);
        subjects.push(Subject::PollFunction);
        let mut rounds: Vec<_> = subjects.iter().map(|&subject| new_round(subject, fds)).collect();
        run.add_points(&mut chart, n, &subjects, &mut rounds)?;
    }
    Ok(vec![chart])
}

fn new_round(subject: Subject, fds: &[RawFd]) -> Round<'_, f64> {
    match subject {
        Subject::Poll => timed_round(|| {
            let entries = fds.iter().map(|&fd| bare_poll::entry(fd));
            let mut entries = ArrayVec::<_, MAX_DESCRIPTORS>::from_iter(entries);
            assert_eq!(bare_poll::poll(&mut entries, ZERO).unwrap(), 1);
            black_box(&entries);
        }),
        Subject::Rustix => timed_round(|| {
            let entries = fds.iter().map(|&fd| rustix::entry(fd, rustix::PollFlags::IN));
            let mut entries = ArrayVec::<_, MAX_DESCRIPTORS>::from_iter(entries);
            assert_eq!(rustix::wait(&mut entries, ZERO).unwrap(), 1);
            black_box(&entries);
        }),
        Subject::PollFunction => timed_round(|| {
            let entries = fds.iter().map(|&fd| PollFd::new(fd, PollFlags::IN));
            let mut entries = ArrayVec::<_, MAX_DESCRIPTORS>::from_iter(entries);
            assert_eq!(pollset::poll(&mut entries, ZERO).unwrap(), 1);
            black_box(&entries);
        }),
        Subject::Pollset => {
            let mut events = Vec::new();
            timed_round(move || {
                let mut set = PollSet::new();
                set.extend(fds.iter().map(|&fd| (fd, PollFlags::IN)));
                assert_eq!(set.poll_into(&mut events, ZERO).unwrap(), 1);
            })
        }
        Subject::Popol => {
            let mut events = Vec::with_capacity(1);
            timed_round(move || {
                let mut sources = Sources::with_capacity(fds.len());
                fds.iter().for_each(|fd| sources.register(*fd, fd, interest::READ));
                assert_eq!(sources.wait_timeout(&mut events, Duration::ZERO).unwrap(), 1);
                events.clear();
            })
        }
        _ => {
            let mut ready = Vec::new();
            timed_round(move || {
                let mut poller = subject.poller(fds.len()).unwrap();
                for &fd in fds {
                    poller.add(fd).unwrap();
                }
                ready.clear();
                poller.wait(ZERO, &mut ready).unwrap();
                assert_eq!(ready.len(), 1);
            })
        }
    }
}
