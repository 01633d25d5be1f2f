use std::hint::black_box;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;

use crate::heap::net_bytes_allocated;
use crate::measure::{Run, timed_round, warm_up};
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

const ZERO: Option<Duration> = Some(Duration::ZERO);

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart =
        |name, title, unit| Chart::new(name, title, "descriptors watched", "descriptor", unit);
    let title = "Registration of n descriptors with a new object";
    let mut times = chart("registration", title, Unit::Nanoseconds);
    let mut memory = chart("memory", "Heap memory for n registrations", Unit::Bytes);

    let sizes = run.sizes(&[8, 100, 1_000, 9_000, 19_000]);
    run.set_length(sizes.len(), run.rounds());
    for n in sizes {
        let eventfds = WatchedFds::eventfds(n, |index| index == n / 2)?;
        let fds = &eventfds.raw_fds()[..];
        let subjects = Subject::all_for(fds);
        let mut rounds = Vec::new();
        for &subject in &subjects {
            rounds.push(timed_round(move || {
                black_box(register_and_poll(subject, fds));
            }));
            let bytes = heap_bytes(subject, fds);
            memory.add(subject.name(), subject.kind(), n, vec![bytes / n as f64]);
        }
        let samples = run.interleave(run.rounds(), &mut rounds)?;
        for (subject, samples) in subjects.iter().zip(samples) {
            let per_descriptor = samples.iter().map(|ns| ns / n as f64).collect();
            times.add(subject.name(), subject.kind(), n, per_descriptor);
        }
    }
    Ok(vec![times, memory])
}

fn register_and_poll(subject: Subject, fds: &[RawFd]) -> EventLoop {
    let mut event_loop = EventLoop::watching(subject, fds).expect("the descriptors are open");
    assert_eq!(event_loop.wait_and_rearm(ZERO), 1);
    event_loop
}

fn heap_bytes(subject: Subject, fds: &[RawFd]) -> f64 {
    let mut kept = None;
    let bytes = net_bytes_allocated(|| {
        // One descriptor is ready: room for one event is enough.
        let mut event_loop = EventLoop::with_capacity(subject, 1).expect("it can be created");
        for &fd in fds {
            event_loop.poller.add(fd).expect("the descriptor is open");
        }
        let event_loop = kept.insert(event_loop);
        warm_up(&mut || assert_eq!(event_loop.wait_and_rearm(ZERO), 1));
    });
    bytes as f64
}
