//! Random churn: thousands of descriptors are opened, closed, registered and unregistered for a few
//! seconds, or for minutes if `POLLSET_LONG` is set.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Engine, Event, PollFlags, PollSet};
use rustix::event::{EventfdFlags, eventfd};

use crate::util::number::enough_fds_for;
use crate::util::oracle::kernel_poll;
use crate::util::process::{in_own_process_for, is_long};
use crate::util::{NOW, new_set};

const SIZE: usize = 19_000;
/// Checks in two passes of the audit over the open descriptors and those that are registered but
/// closed.
const TWO_PASSES: u64 = 2 * (SIZE as u64 + 1_000);

struct Churn {
    set: PollSet,
    random: fastrand::Rng,
    files: HashMap<RawFd, OwnedFd>,
    /// The keys of `files`, for random choices.
    open: Vec<RawFd>,
    /// The expected registrations. Their order is lost when one is unregistered.
    registered: Vec<(RawFd, PollFlags)>,
    /// Indices into `registered`.
    index: HashMap<RawFd, usize>,
    /// Descriptors that were closed or reused while registered, which epoll may report wrongly.
    stale: HashMap<RawFd, Since>,
    /// The longest time until a closed descriptor was found.
    longest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    time: Instant,
    /// `Stats::audited` at that time.
    audited: u64,
}

impl Churn {
    fn now(&self) -> Since {
        Since { time: Instant::now(), audited: self.set.stats().audited }
    }

    fn open(&mut self) {
        let value = u32::from(self.random.u8(..50) == 0);
        let file = eventfd(value, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let number = file.as_raw_fd();
        self.files.insert(number, file);
        self.open.push(number);
        if self.index.contains_key(&number) {
            self.stale.insert(number, self.now());
        } else {
            self.register(number);
        }
    }

    fn register(&mut self, number: RawFd) {
        self.set.register(number, PollFlags::IN).unwrap();
        self.stale.remove(&number);
        self.index.entry(number).or_insert_with(|| {
            self.registered.push((number, PollFlags::IN));
            self.registered.len() - 1
        });
    }

    fn unregister(&mut self, number: RawFd) {
        self.set.unregister(number).unwrap();
        self.stale.remove(&number);
        let index = self.index.remove(&number).unwrap();
        self.registered.swap_remove(index);
        if let Some(&(moved, _)) = self.registered.get(index) {
            self.index.insert(moved, index);
        }
    }

    fn step(&mut self) {
        if self.open.is_empty() || self.open.len() < SIZE && self.random.bool() {
            return self.open();
        }
        let index = self.random.usize(..self.open.len());
        let number = self.open[index];
        match self.random.u8(..8) {
            0 | 1 => self.close(index, number, true),
            2 => self.close(index, number, false),
            3 => drop(rustix::io::write(&self.files[&number], &1_u64.to_ne_bytes())),
            4..7 => drop(rustix::io::read(&self.files[&number], &mut [0; 8])),
            _ => self.register(number),
        }
    }

    fn close(&mut self, index: usize, number: RawFd, unregisters: bool) {
        if unregisters && self.index.contains_key(&number) {
            self.unregister(number);
        }
        self.open.swap_remove(index);
        self.files.remove(&number);
        if self.index.contains_key(&number) {
            self.stale.insert(number, self.now());
        }
    }

    /// Compares the events of the set and of poll(2). They may differ for stale descriptors until
    /// the audit has made two passes.
    fn compare(&mut self) {
        let expected = by_number(kernel_poll(&self.registered));
        let polled = by_number(self.set.poll(NOW).unwrap());
        let stats = self.set.stats();
        let may_be_stale = |since: Since| {
            stats.last_engine == Some(Engine::Epoll) && stats.audited - since.audited < TWO_PASSES
        };
        for number in expected.keys().chain(polled.keys()) {
            let (expected, polled) = (expected.get(number), polled.get(number));
            let stale = self.stale.get(number).copied();
            assert!(
                expected == polled || stale.is_some_and(may_be_stale),
                "{number}: {polled:?} instead of {expected:?}; stale {stale:?}, {stats:?}",
            );
            if let Some(since) = stale
                && expected == polled
            {
                if expected == Some(&PollFlags::NVAL) {
                    self.longest = self.longest.max(since.time.elapsed());
                }
                // If poll(2) has reported it, epoll may still have the entry of the old file.
                if stats.last_engine == Some(Engine::Epoll) {
                    self.stale.remove(number);
                }
            }
        }
        for (number, _) in expected.into_iter().filter(|(_, revents)| *revents == PollFlags::NVAL) {
            if !self.stale.contains_key(&number) {
                self.unregister(number);
            }
        }
    }
}

fn by_number(events: Vec<Event>) -> HashMap<RawFd, PollFlags> {
    events.into_iter().map(|event| (event.fd, event.revents)).collect()
}

#[test]
fn random_churn_of_thousands_agrees_with_kernel() {
    let time = Duration::from_secs(if is_long() { 180 } else { 2 });
    in_own_process_for(time, || {
        if !enough_fds_for(16_000) {
            return;
        }
        let mut churn = Churn {
            set: new_set(),
            random: fastrand::Rng::with_seed(7),
            files: HashMap::new(),
            open: Vec::new(),
            registered: Vec::new(),
            index: HashMap::new(),
            stale: HashMap::new(),
            longest: Duration::ZERO,
        };
        while churn.open.len() < SIZE {
            churn.open();
        }
        let start = Instant::now();
        let (mut steps, mut waits) = (0, 0);
        while start.elapsed() < time {
            let run = churn.random.usize(..300);
            (0..run).for_each(|_| churn.step());
            churn.compare();
            steps += run;
            waits += 1;
        }
        let (longest, stats) = (churn.longest, churn.set.stats());
        eprintln!(
            "{steps} steps, {waits} waits, closed descriptors found within {longest:?}, {stats:?}"
        );
    });
}
