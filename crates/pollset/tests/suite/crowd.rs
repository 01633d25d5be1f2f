//! Thousands of descriptors that come and go at random, for a few seconds, or for minutes if
//! `POLLSET_LONG` is set.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Engine, Event, PollFlags, PollSet};
use rustix::event::{EventfdFlags, eventfd};

use crate::util::number::enough_for;
use crate::util::oracle::kernel_poll;
use crate::util::process::{alone_for, is_long};
use crate::util::{NOW, new_set};

const SIZE: usize = 19_000;
/// Of all that are open, and of those that are registered and closed.
const TWO_PASSES: u64 = 2 * (SIZE as u64 + 1_000);

struct Crowd {
    set: PollSet,
    random: fastrand::Rng,
    files: HashMap<RawFd, OwnedFd>,
    /// The keys of `files`, to choose from.
    open: Vec<RawFd>,
    /// What must be registered, in order but for what was unregistered.
    registered: Vec<(RawFd, PollFlags)>,
    place: HashMap<RawFd, usize>,
    /// Numbers closed or used again while they were registered, and since when.
    unknown: HashMap<RawFd, Since>,
    /// What it took to find a closed number.
    longest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    time: Instant,
    /// How many re-checks there had been.
    audited: u64,
}

impl Crowd {
    fn now(&self) -> Since {
        Since { time: Instant::now(), audited: self.set.stats().audited }
    }

    fn open(&mut self) {
        let ready = u32::from(self.random.u8(..50) == 0);
        let file = eventfd(ready, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let number = file.as_raw_fd();
        self.files.insert(number, file);
        self.open.push(number);
        if self.place.contains_key(&number) {
            self.unknown.insert(number, self.now());
        } else {
            self.register(number);
        }
    }

    fn register(&mut self, number: RawFd) {
        self.set.register(number, PollFlags::IN).unwrap();
        self.unknown.remove(&number);
        self.place.entry(number).or_insert_with(|| {
            self.registered.push((number, PollFlags::IN));
            self.registered.len() - 1
        });
    }

    fn unregister(&mut self, number: RawFd) {
        self.set.unregister(number).unwrap();
        self.unknown.remove(&number);
        let place = self.place.remove(&number).unwrap();
        self.registered.swap_remove(place);
        if let Some(&(moved, _)) = self.registered.get(place) {
            self.place.insert(moved, place);
        }
    }

    fn step(&mut self) {
        if self.open.is_empty() || self.open.len() < SIZE && self.random.bool() {
            return self.open();
        }
        let place = self.random.usize(..self.open.len());
        let number = self.open[place];
        match self.random.u8(..8) {
            0 | 1 => self.close(place, number, true),
            2 => self.close(place, number, false),
            3 => drop(rustix::io::write(&self.files[&number], &1_u64.to_ne_bytes())),
            4..7 => drop(rustix::io::read(&self.files[&number], &mut [0; 8])),
            _ => self.register(number),
        }
    }

    fn close(&mut self, place: usize, number: RawFd, properly: bool) {
        if properly && self.place.contains_key(&number) {
            self.unregister(number);
        }
        self.open.swap_remove(place);
        self.files.remove(&number);
        if self.place.contains_key(&number) {
            self.unknown.insert(number, self.now());
        }
    }

    /// What is known to be open, or was found to be closed, is answered as poll(2) answers it; what
    /// isn't is after two passes of the audit.
    fn compare(&mut self) {
        let expected = by_number(kernel_poll(&self.registered));
        let asked = by_number(self.set.poll(NOW).unwrap());
        let stats = self.set.stats();
        let may_be_unknown = |since: Since| {
            stats.last_engine == Some(Engine::Epoll) && stats.audited - since.audited < TWO_PASSES
        };
        for number in expected.keys().chain(asked.keys()) {
            let (expected, asked) = (expected.get(number), asked.get(number));
            let unknown = self.unknown.get(number).copied();
            assert!(
                expected == asked || unknown.is_some_and(may_be_unknown),
                "{number}: {asked:?} instead of {expected:?}; closed {unknown:?}, {stats:?}",
            );
            if let Some(since) = unknown
                && expected == asked
            {
                if expected == Some(&PollFlags::NVAL) {
                    self.longest = self.longest.max(since.time.elapsed());
                }
                self.unknown.remove(number);
            }
        }
        for (number, _) in expected.into_iter().filter(|(_, revents)| *revents == PollFlags::NVAL) {
            if !self.unknown.contains_key(&number) {
                self.unregister(number);
            }
        }
    }
}

fn by_number(events: Vec<Event>) -> HashMap<RawFd, PollFlags> {
    events.into_iter().map(|event| (event.fd, event.revents)).collect()
}

#[test]
fn thousands_that_come_and_go_at_random_are_answered_as_by_poll() {
    let time = Duration::from_secs(if is_long() { 180 } else { 2 });
    alone_for(time, || {
        if !enough_for(16_000) {
            return;
        }
        let mut crowd = Crowd {
            set: new_set(),
            random: fastrand::Rng::with_seed(7),
            files: HashMap::new(),
            open: Vec::new(),
            registered: Vec::new(),
            place: HashMap::new(),
            unknown: HashMap::new(),
            longest: Duration::ZERO,
        };
        while crowd.open.len() < SIZE {
            crowd.open();
        }
        let start = Instant::now();
        let (mut steps, mut waits) = (0, 0);
        while start.elapsed() < time {
            let run = crowd.random.usize(..300);
            (0..run).for_each(|_| crowd.step());
            crowd.compare();
            steps += run;
            waits += 1;
        }
        let (longest, stats) = (crowd.longest, crowd.set.stats());
        eprintln!(
            "{steps} steps, {waits} waits, closed ones found after {longest:?} at most, {stats:?}"
        );
    });
}
