//! Events, each with the value of its registration.

use std::collections::HashMap;
use std::hint::black_box;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use anyhow::Result;
use pollset::{PollFlags, PollMap, PollSet};

use crate::measure::{Round, Run, timed_round};
use crate::numbers::format_number;
use crate::pollers::bare_epoll::Epoll;
use crate::pollers::bare_poll;
use crate::report::{Chart, Kind, Unit};
use crate::watched_fds::WatchedFds;

/// The state of a connection, as large as a cache line.
#[derive(Default)]
struct Value {
    events: u64,
    _rest: [u64; 7],
}

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "One more descriptor beside n registered ones, with a value";
    let x = "descriptors registered";
    let mut changes = Chart::new("values-changes", title, x, "pair of changes", Unit::Nanoseconds);
    let sizes = run.sizes(&[16, 1_000, 9_000]);
    let shares = [1, 10, 100];
    run.set_length(sizes.len() * (shares.len() + 1), run.rounds());
    let mut charts = Vec::new();
    for n in sizes {
        let name = format!("values-{n}");
        let title = format!("Some of {} ready, each with a value", format_number(n as f64));
        let mut chart = Chart::new(&name, &title, "descriptors ready", "wait", Unit::Nanoseconds);
        for percent in shares {
            let k = if percent == 1 { 1 } else { (n * percent).div_ceil(100) };
            let is_ready = |index| index * k / n != (index + 1) * k / n;
            add_waits(run, &mut chart, k, &WatchedFds::sockets(n, is_ready)?.raw_fds())?;
        }
        charts.push(chart);
        add_changes(run, &mut changes, &WatchedFds::sockets(n, |index| index == n / 2)?.raw_fds())?;
    }
    charts.push(changes);
    Ok(charts)
}

/// A poller and the place of the values.
#[derive(Clone, Copy)]
enum Subject {
    /// The values are in the order of the array.
    PollAndVec,
    EpollAndHashMap,
    /// The token of a registration is the index of its value.
    EpollAndVec,
    /// Without values.
    PollSetAlone,
    PollSetAndHashMap,
    PollMap,
}

impl Subject {
    const ALL: [Self; 6] = [
        Self::PollAndVec,
        Self::EpollAndHashMap,
        Self::EpollAndVec,
        Self::PollSetAlone,
        Self::PollSetAndHashMap,
        Self::PollMap,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::PollAndVec => "poll(2) and Vec",
            Self::EpollAndHashMap => "epoll(7) and HashMap",
            Self::EpollAndVec => "epoll(7) and Vec",
            Self::PollSetAlone => "PollSet alone",
            Self::PollSetAndHashMap => "PollSet and HashMap",
            Self::PollMap => "PollMap",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::PollAndVec | Self::EpollAndHashMap | Self::EpollAndVec => Kind::Bare,
            Self::PollSetAlone => Kind::Reference,
            Self::PollSetAndHashMap | Self::PollMap => Kind::Ours,
        }
    }

    /// A function that waits without a timeout, counts each event in the value of its registration,
    /// and returns the number of events.
    fn waits(self, fds: &[RawFd]) -> Result<Box<dyn FnMut() -> usize>> {
        let new_values = || fds.iter().map(|_| Value::default()).collect::<Vec<_>>();
        Ok(match self {
            Self::PollAndVec => {
                let mut entries: Vec<_> = fds.iter().map(|&fd| bare_poll::entry(fd)).collect();
                let mut values = new_values();
                Box::new(move || {
                    let count = bare_poll::poll(&mut entries, None).unwrap();
                    let both = entries.iter().zip(&mut values);
                    let ready = both.filter(|(entry, _)| entry.revents != 0).take(count);
                    ready.map(|(_, value)| value.events += 1).count()
                })
            }
            Self::EpollAndHashMap => {
                let mut epoll = Epoll::new(fds.len())?;
                fds.iter().try_for_each(|&fd| epoll.add_with_token(fd, fd as u64))?;
                let mut values = values_by_number(fds);
                Box::new(move || {
                    let events = epoll.wait_for_events(None).unwrap();
                    for event in events {
                        values.get_mut(&(event.u64 as RawFd)).unwrap().events += 1;
                    }
                    events.len()
                })
            }
            Self::EpollAndVec => {
                let mut epoll = Epoll::new(fds.len())?;
                for (index, &fd) in fds.iter().enumerate() {
                    epoll.add_with_token(fd, index as u64)?;
                }
                let mut values = new_values();
                Box::new(move || {
                    let events = epoll.wait_for_events(None).unwrap();
                    for event in events {
                        values[event.u64 as usize].events += 1;
                    }
                    events.len()
                })
            }
            Self::PollSetAlone => {
                let set = new_set(fds);
                let mut events = Vec::new();
                Box::new(move || {
                    set.poll_into(&mut events, None).unwrap();
                    events.iter().map(black_box).count()
                })
            }
            Self::PollSetAndHashMap => {
                let set = new_set(fds);
                let mut values = values_by_number(fds);
                let mut events = Vec::new();
                Box::new(move || {
                    set.poll_into(&mut events, None).unwrap();
                    for event in &events {
                        values.get_mut(&event.fd).unwrap().events += 1;
                    }
                    events.len()
                })
            }
            Self::PollMap => {
                let mut map = new_poll_map(fds)?;
                Box::new(move || {
                    map.poll(None).unwrap();
                    let mut count = 0;
                    while let Some((_, value)) = map.next_event() {
                        value.events += 1;
                        count += 1;
                    }
                    count
                })
            }
        })
    }
}

fn add_waits(run: &Run, chart: &mut Chart, k: usize, fds: &[RawFd]) -> Result<()> {
    let mut rounds = Vec::new();
    for subject in Subject::ALL {
        let mut wait = subject.waits(fds)?;
        rounds.push(timed_round(move || assert_eq!(wait(), k)));
    }
    add_points(run, chart, k, &Subject::ALL, &mut rounds)
}

/// One more descriptor is registered and unregistered, without a wait in between: pollset tells the
/// kernel in the next wait, so a comparison with bare calls would mean nothing.
fn add_changes(run: &Run, chart: &mut Chart, fds: &[RawFd]) -> Result<()> {
    let subjects = [Subject::PollSetAlone, Subject::PollSetAndHashMap, Subject::PollMap];
    let (socket, _peer) = UnixStream::pair()?;
    let fd = socket.as_raw_fd();
    let (alone, set) = (new_set(fds), new_set(fds));
    let mut values = values_by_number(fds);
    let mut map = new_poll_map(fds)?;
    for _ in 0..100 {
        alone.poll(None)?;
        set.poll(None)?;
        map.poll(None)?;
    }
    let mut rounds = [
        timed_round(|| {
            alone.register(fd, PollFlags::IN).unwrap();
            alone.unregister(fd).unwrap();
        }),
        timed_round(|| {
            set.register(fd, PollFlags::IN).unwrap();
            values.insert(fd, Value::default());
            set.unregister(fd).unwrap();
            values.remove(&fd).unwrap();
        }),
        timed_round(|| {
            map.register(fd, PollFlags::IN, Value::default()).unwrap();
            map.unregister(fd).unwrap();
        }),
    ];
    add_points(run, chart, fds.len(), &subjects, &mut rounds)
}

fn add_points(
    run: &Run,
    chart: &mut Chart,
    x: usize,
    subjects: &[Subject],
    rounds: &mut [Round<f64>],
) -> Result<()> {
    let samples = run.interleave(run.rounds(), rounds)?;
    for (subject, samples) in subjects.iter().zip(samples) {
        chart.add(subject.name(), subject.kind(), x, samples);
    }
    Ok(())
}

fn new_set(fds: &[RawFd]) -> PollSet {
    fds.iter().map(|&fd| (fd, PollFlags::IN)).collect()
}

fn new_poll_map(fds: &[RawFd]) -> Result<PollMap<Value>> {
    let mut map = PollMap::new();
    for &fd in fds {
        map.register(fd, PollFlags::IN, Value::default())?;
    }
    Ok(map)
}

fn values_by_number(fds: &[RawFd]) -> HashMap<RawFd, Value> {
    fds.iter().map(|&fd| (fd, Value::default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_reports_each_ready_descriptor_in_each_wait() -> Result<()> {
        let sockets = WatchedFds::sockets(20, |index| index % 2 == 0)?;
        for subject in Subject::ALL {
            let mut wait = subject.waits(&sockets.raw_fds())?;
            assert_eq!([wait(), wait(), wait()], [10; 3], "{}", subject.name());
        }
        Ok(())
    }
}
