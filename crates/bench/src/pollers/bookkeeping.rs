use std::os::fd::RawFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libc::{POLLIN, pollfd};
use rustix::time::{ClockId, clock_gettime};

use super::bare_epoll::Epoll;
use super::poller::{Interest, Poller};

/// epoll(7), and what pollset's guarantees require of a wait on it, in a straight line: one wait at a
/// time, a check for a fork, a clock for the audit, a serial number for each event, and results in
/// the order of registration, as events that can be taken later. It makes no audit.
pub struct Bookkeeping {
    epoll: Epoll,
    owner: AtomicU32,
    /// In memory that the kernel would wipe in a child.
    generation: Box<AtomicU32>,
    last_audit: i64,
    targets: Vec<Target>,
    /// In the order of registration.
    entries: Vec<pollfd>,
    slots: Vec<u32>,
    events: Vec<pollfd>,
}

struct Target {
    slot: u32,
    serial: u32,
}

const GENERATION: u32 = 1;
const SERIAL: u32 = 7;

fn token(slot: u32) -> u64 {
    u64::from(SERIAL) << 32 | u64::from(slot)
}

impl Bookkeeping {
    pub fn new(capacity: usize) -> Result<Self> {
        Ok(Self {
            epoll: Epoll::new(capacity)?,
            owner: AtomicU32::new(0),
            generation: Box::new(AtomicU32::new(GENERATION)),
            last_audit: 0,
            targets: Vec::new(),
            entries: Vec::new(),
            slots: Vec::with_capacity(capacity),
            events: Vec::with_capacity(capacity),
        })
    }

    fn slot(&self, fd: RawFd) -> Result<usize> {
        let slot = self.entries.iter().position(|entry| entry.fd == fd);
        slot.context("the descriptor is not registered")
    }
}

impl Poller for Bookkeeping {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        let slot = self.entries.len() as u32;
        self.epoll.add_with_token(fd, token(slot))?;
        self.targets.push(Target { slot, serial: SERIAL });
        self.entries.push(pollfd { fd, events: POLLIN, revents: 0 });
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        let slot = self.slot(fd)?;
        self.epoll.modify_with_token(fd, interest, token(slot as u32))
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        let slot = self.slot(fd)?;
        self.entries[slot].fd = -1;
        self.targets[slot].serial = 0;
        self.epoll.remove(fd)
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        ensure!(self.generation.load(Relaxed) == GENERATION, "a child has an instance of its own");
        let leased = self.owner.compare_exchange(0, GENERATION, Acquire, Relaxed);
        ensure!(leased.is_ok(), "another thread waits");
        let tick = clock_gettime(ClockId::MonotonicCoarse).tv_nsec;
        if tick != self.last_audit {
            self.last_audit = tick;
        }
        self.slots.clear();
        self.events.clear();
        for event in self.epoll.wait_for_events(timeout)? {
            let (key, serial) = (event.u64 as u32, (event.u64 >> 32) as u32);
            match self.targets.get(key as usize) {
                Some(target) if target.serial == serial => {
                    self.entries[target.slot as usize].revents = event.events as i16;
                    self.slots.push(target.slot);
                }
                _ => ensure!(false, "an event of a removed entry"),
            }
        }
        if !self.slots.is_sorted() {
            self.slots.sort_unstable();
        }
        self.events.extend(self.slots.iter().map(|&slot| self.entries[slot as usize]));
        self.owner.swap(0, Release);
        ready.extend(self.events.iter().map(|event| event.fd));
        Ok(())
    }
}
