use std::hint::black_box;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;

use super::waits::who_can_watch;
use crate::crowd::Crowd;
use crate::heap::held_after;
use crate::measure::{Run, calls, warm_up};
use crate::pollers::{Contestant, Watching};
use crate::report::{Chart, Unit};

const NOW: Option<Duration> = Some(Duration::ZERO);

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart =
        |name, title, unit| Chart::new(name, title, "descriptors watched", "a descriptor", unit);
    let mut times = chart("registration", "n are registered with a new object", Unit::Nanoseconds);
    let mut sizes_on_heap = chart("memory", "On the heap", Unit::Bytes);

    let sizes = run.sizes(&[8, 100, 1_000, 9_000, 19_000]);
    run.expect(sizes.len(), run.rounds());
    for n in sizes {
        let crowd = Crowd::of_eventfds(n, |member| member == n / 2)?;
        let numbers = &crowd.numbers()[..];
        let contestants = who_can_watch(numbers);
        let mut players = Vec::new();
        for &contestant in &contestants {
            players.push(calls(move || {
                black_box(watching_and_asked(contestant, numbers));
            }));
            let held = held_on_heap(contestant, numbers);
            sizes_on_heap.add(contestant, n, vec![held / n as f64]);
        }
        let samples = run.in_turn(run.rounds(), &mut players)?;
        for (&contestant, samples) in contestants.iter().zip(samples) {
            let each = samples.iter().map(|ns| ns / n as f64).collect();
            times.add(contestant, n, each);
        }
    }
    Ok(vec![times, sizes_on_heap])
}

fn watching_and_asked(contestant: Contestant, numbers: &[RawFd]) -> Watching {
    let mut watching = contestant.watching(numbers).expect("the numbers are open");
    assert_eq!(watching.count(NOW), 1);
    watching
}

/// Bytes.
fn held_on_heap(contestant: Contestant, numbers: &[RawFd]) -> f64 {
    let mut watching = None;
    let held = held_after(|| {
        // With room for the one event that there is.
        let mut new = Watching::new(contestant, 1).expect("there is room");
        for &fd in numbers {
            new.poller.add(fd).expect("it is open");
        }
        let watching = watching.insert(new);
        warm_up(&mut || assert_eq!(watching.count(NOW), 1));
    });
    held as f64
}
