use std::io;
use std::time::Duration;

use smallvec::SmallVec;

use crate::registrations::{SMALL, Slot};
use crate::{Event, PollFlags, sys};

/// The array engine: one `pollfd` a slot, kept between waits, and one system call to ask them all.
///
/// Its cost grows with the number of descriptors, ready or not. It takes every kind of descriptor
/// and is exact about closed ones.
pub struct ArrayEngine {
    entries: SmallVec<[libc::pollfd; SMALL]>,
}

impl ArrayEngine {
    pub const fn new() -> Self {
        Self { entries: SmallVec::new_const() }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps the entries of the first `seen` slots, or as many as there are; returns how many.
    pub fn keep(&mut self, seen: usize) -> usize {
        self.entries.truncate(seen);
        self.entries.len()
    }

    /// Takes over what a slot says: one of those there are, or the next.
    pub fn set(&mut self, number: usize, slot: &Slot) {
        // The kernel is asked only for the bits that it knows.
        let events = (slot.events & PollFlags::all()).bits() as i16;
        let entry = libc::pollfd { fd: slot.fd, events, revents: 0 };
        match self.entries.get_mut(number) {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }

    /// Asks, and waits until something is ready or the timeout is over (`None`: for ever).
    /// Returns how many descriptors are ready.
    pub fn ask(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        sys::poll(&mut self.entries, timeout)
    }

    /// What the last [`ask`](Self::ask) found, given the number that it returned.
    pub fn events(&self, ready: usize) -> impl Iterator<Item = Event> + '_ {
        self.entries.iter().filter(|entry| entry.revents != 0).take(ready).map(|entry| Event {
            fd: entry.fd,
            revents: PollFlags::from_bits_retain(entry.revents as u16),
        })
    }
}
