use std::io;
use std::time::Duration;

use smallvec::SmallVec;

use super::slots::FoundSlots;
use crate::registrations::{SMALL, Slot};
use crate::{Event, PollFlags, sys};

/// The array engine: one `pollfd` a slot, kept between waits, and one system call to ask them all.
///
/// Its cost grows with the number of descriptors, ready or not. It takes every kind of descriptor
/// and is exact about closed ones.
///
/// The answers of each wait are in its `revents`, whichever engine has asked.
pub struct ArrayEngine {
    entries: SmallVec<[libc::pollfd; SMALL]>,
    /// The slots with an answer from the other engine.
    answered: FoundSlots,
    /// After asking: where to look for the next answer, and how many there still are.
    next: usize,
    left: usize,
}

impl ArrayEngine {
    pub const fn new() -> Self {
        Self { entries: SmallVec::new_const(), answered: FoundSlots::new(), next: 0, left: 0 }
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
        self.forget_answers();
        self.left = sys::poll(&mut self.entries, timeout)?;
        Ok(self.left)
    }

    /// Forgets what was found.
    #[inline]
    pub fn forget_answers(&mut self) {
        self.answered.clear();
        self.next = 0;
        self.left = 0;
    }

    /// Takes note of what the other engine has found.
    #[allow(dead_code)] // where there is no epoll
    #[inline]
    pub fn answer(&mut self, slot: u32, revents: PollFlags) {
        self.entries[slot as usize].revents = revents.bits() as i16;
        self.answered.push(slot);
    }

    /// How many answers the other engine has found, which are all.
    #[allow(dead_code)] // where there is no epoll
    #[inline]
    pub fn finish_answers(&mut self) -> usize {
        self.answered.put_in_order(self.entries.len());
        self.answered.len()
    }

    /// Shows `each` what was found and not taken, in the order of the slots.
    #[inline]
    pub fn take_answers(&mut self, mut each: impl FnMut(Event)) {
        while let Some(slot) = self.answered.take_next() {
            each(event(&self.entries[slot]));
        }
        let left = std::mem::take(&mut self.left);
        let answers = self.entries.iter().skip(self.next).filter(|entry| entry.revents != 0);
        answers.take(left).map(event).for_each(each);
    }

    /// What was found, in the order of the slots. Each answer is given once.
    #[inline]
    pub fn take_answer(&mut self) -> Option<(usize, Event)> {
        let slot = match self.answered.take_next() {
            Some(slot) => slot,
            None => {
                self.left = self.left.checked_sub(1)?;
                let rest = self.entries.get(self.next..)?;
                let slot = self.next + rest.iter().position(|entry| entry.revents != 0)?;
                self.next = slot + 1;
                slot
            }
        };
        Some((slot, event(&self.entries[slot])))
    }
}

#[inline]
fn event(entry: &libc::pollfd) -> Event {
    Event { fd: entry.fd, revents: PollFlags::from_bits_retain(entry.revents as u16) }
}
