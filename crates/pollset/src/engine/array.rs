use std::io;
use std::time::Duration;

use rustix::io::Errno;
use smallvec::SmallVec;

use crate::registrations::{SMALL, Slot, VACANT};
use crate::{Event, PollFlags, sys};

/// The array engine: one `pollfd` a slot, kept between waits, and one system call to ask them all.
///
/// Its cost grows with the number of descriptors, ready or not. It takes every kind of descriptor
/// and is exact about closed ones.
///
/// The answers of each wait are in its `revents`, whichever engine has asked.
pub struct ArrayEngine {
    entries: SmallVec<[libc::pollfd; SMALL]>,
    /// Where to look for the next answer, and how many there still are.
    next: usize,
    left: usize,
}

impl ArrayEngine {
    pub const fn new() -> Self {
        Self { entries: SmallVec::new_const(), next: 0, left: 0 }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps the entries of the first `seen` of so many slots, or as many as there are; returns how
    /// many.
    pub fn keep(&mut self, seen: usize, slots: usize) -> usize {
        self.entries.truncate(seen);
        self.entries.reserve(slots - self.entries.len());
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
        self.next = 0;
        self.left = match sys::poll(&mut self.entries, timeout) {
            Ok(ready) => ready,
            Err(error) => self.ask_without_gaps(error, timeout)?,
        };
        Ok(self.left)
    }

    /// The kernel refuses more entries than the process may have descriptors, and counts the vacant
    /// ones. The gaps are not closed for that: a child that is forked meanwhile could not go on.
    #[cold]
    fn ask_without_gaps(
        &mut self,
        error: io::Error,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        if Errno::from_io_error(&error) != Some(Errno::INVAL) {
            return Err(error);
        }
        let is_taken = |entry: &&mut libc::pollfd| entry.fd != VACANT;
        let mut taken: Vec<_> = self.entries.iter_mut().filter(is_taken).collect();
        let mut asked: Vec<_> = taken.iter().map(|entry| **entry).collect();
        let ready = sys::poll(&mut asked, timeout)?;
        for (entry, asked) in taken.iter_mut().zip(asked) {
            entry.revents = asked.revents;
        }
        Ok(ready)
    }

    /// Asks without waiting about all that has no answer yet, and adds `answers`, by slot.
    /// Returns how many descriptors are ready.
    pub fn ask_beside(&mut self, answers: Vec<(usize, PollFlags)>) -> io::Result<usize> {
        let answered: Vec<_> =
            answers.iter().map(|&(slot, _)| (slot, self.entries[slot].fd)).collect();
        for &(slot, _) in &answered {
            self.entries[slot].fd = VACANT;
        }
        self.entries.iter_mut().for_each(|entry| entry.revents = 0);
        let outcome = self.ask(Some(Duration::ZERO));
        for (slot, fd) in answered {
            self.entries[slot].fd = fd;
        }
        match outcome {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::INTR) => return Err(error),
            // Interrupted: none was ready.
            outcome => self.left = outcome.unwrap_or(0) + answers.len(),
        }
        for (slot, revents) in answers {
            self.entries[slot].revents = revents.bits() as i16;
        }
        Ok(self.left)
    }

    /// Where somebody else puts down what he has found, by slot.
    #[inline]
    pub fn answers(&mut self) -> impl FnMut(usize, PollFlags) {
        let entries = self.entries.as_mut_slice();
        |slot, revents| entries[slot].revents = revents.bits() as i16
    }

    /// The answer about a slot that has one.
    #[inline]
    pub fn event(&self, slot: usize) -> Event {
        event(&self.entries[slot])
    }

    /// Adds what was found and not taken to `events`, in the order of the slots.
    #[inline]
    pub fn move_events_to(&mut self, events: &mut Vec<Event>) {
        events.reserve(self.left);
        let answers = self.entries.iter().skip(self.next).filter(|entry| entry.revents != 0);
        answers.take(self.left).for_each(|entry| events.push(event(entry)));
        self.left = 0;
    }

    /// The next slot of those that something was found about. Each is given once.
    #[inline]
    pub fn take_slot(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let rest = self.entries.get(self.next..)?;
        let slot = self.next + rest.iter().position(|entry| entry.revents != 0)?;
        self.next = slot + 1;
        Some(slot)
    }
}

#[inline]
fn event(entry: &libc::pollfd) -> Event {
    Event { fd: entry.fd, revents: PollFlags::from_bits_retain(entry.revents as u16) }
}
