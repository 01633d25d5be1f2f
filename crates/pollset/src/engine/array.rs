use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use smallvec::SmallVec;

use crate::registrations::{Registrations, SMALL};
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
        Self {
            entries: SmallVec::new_const(),
        }
    }

    pub fn apply_changes(&mut self, registrations: &mut Registrations) {
        registrations.take_changes(&mut self.entries, entry);
    }

    /// Asks, and waits until something is ready or the timeout is over (`None`: for ever).
    /// Returns how many descriptors are ready.
    pub fn ask(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        sys::poll(&mut self.entries, timeout)
    }

    /// What the last [`ask`](Self::ask) found, given the number that it returned.
    pub fn events(&self, ready: usize) -> impl Iterator<Item = Event> + '_ {
        self.entries
            .iter()
            .filter(|entry| entry.revents != 0)
            .take(ready)
            .map(|entry| Event {
                fd: entry.fd,
                revents: PollFlags::from_bits_retain(entry.revents as u16),
            })
    }
}

/// The kernel is asked only for the bits that it knows.
fn entry(fd: RawFd, events: PollFlags) -> libc::pollfd {
    let events = events & PollFlags::all();
    libc::pollfd {
        fd,
        events: events.bits() as i16,
        revents: 0,
    }
}
