//! Polls every descriptor by poll(2).

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use smallvec::SmallVec;

use crate::registrations::{SMALL, Slot, VACANT};
use crate::sys::signals::SignalSet;
use crate::{Event, PollFlags, sys};

/// The poll(2) engine: an array with one `pollfd` for each slot, kept between waits.
///
/// The cost of a call grows with the number of descriptors, ready or not. It accepts every kind of
/// descriptor, and reports closed ones at once.
///
/// The `revents` of the array are the results of each wait, also of one on epoll.
pub struct PollEngine {
    entries: SmallVec<[libc::pollfd; SMALL]>,
    /// Where the search for the next event goes on, and how many are left.
    next: usize,
    left: usize,
}

impl PollEngine {
    pub const fn new() -> Self {
        Self { entries: SmallVec::new_const(), next: 0, left: 0 }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps the entries of the first `synced` slots, of `slots` in all, or as many as there are.
    /// Returns their number.
    pub fn keep(&mut self, synced: usize, slots: usize) -> usize {
        self.entries.truncate(synced);
        self.entries.reserve(slots - self.entries.len());
        self.entries.len()
    }

    /// Copies a slot: one of those that have an entry, or the next.
    pub fn set(&mut self, number: usize, slot: &Slot) {
        // The kernel gets only the bits that poll(2) defines.
        let events = (slot.events & PollFlags::all()).bits() as i16;
        let entry = libc::pollfd { fd: slot.fd, events, revents: 0 };
        match self.entries.get_mut(number) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// Waits until a descriptor is ready or the time is up (`None`: no timeout). Returns the number
    /// of ready ones.
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.poll_by(|entries| sys::poll(entries, timeout))
    }

    /// The same with `mask` as the signal mask of the thread.
    pub fn poll_masked(
        &mut self,
        timeout: Option<Duration>,
        mask: &SignalSet,
    ) -> io::Result<usize> {
        self.poll_by(|entries| sys::poll_masked(entries, timeout, mask))
    }

    fn poll_by(
        &mut self,
        poll: impl Fn(&mut [libc::pollfd]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.next = 0;
        self.left = match poll(&mut self.entries) {
            Ok(ready) => ready,
            Err(error) => self.poll_without_vacant(error, poll)?,
        };
        Ok(self.left)
    }

    /// The kernel counts the vacant entries, and refuses more entries than the process may have
    /// descriptors. (The registrations keep their vacant slots. To remove them would be a change,
    /// during which a thread that forks would leave the child a lock that is lost.)
    #[cold]
    fn poll_without_vacant(
        &mut self,
        error: io::Error,
        poll: impl Fn(&mut [libc::pollfd]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if Errno::from_io_error(&error) != Some(Errno::INVAL) {
            return Err(error);
        }
        let mut taken: Vec<_> =
            self.entries.iter_mut().filter(|entry| entry.fd != VACANT).collect();
        let mut copies: Vec<_> = taken.iter().map(|entry| **entry).collect();
        let ready = poll(&mut copies)?;
        for (entry, copy) in taken.iter_mut().zip(copies) {
            entry.revents = copy.revents;
        }
        Ok(ready)
    }

    /// Polls all descriptors without a result, without blocking, and adds the `results`, by slot.
    /// Returns the number of ready descriptors.
    #[cold]
    pub fn poll_rest(&mut self, results: &[(usize, PollFlags)]) -> io::Result<usize> {
        let numbers: Vec<_> =
            results.iter().map(|&(slot, _)| (slot, self.entries[slot].fd)).collect();
        for &(slot, _) in &numbers {
            self.entries[slot].fd = VACANT;
        }
        self.entries.iter_mut().for_each(|entry| entry.revents = 0);
        let outcome = self.poll(Some(Duration::ZERO));
        for (slot, fd) in numbers {
            self.entries[slot].fd = fd;
        }
        match outcome {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::INTR) => return Err(error),
            // Interrupted: none was ready.
            outcome => self.left = outcome.unwrap_or(0) + results.len(),
        }
        for &(slot, revents) in results {
            self.entries[slot].revents = revents.bits() as i16;
        }
        Ok(self.left)
    }

    /// Where another engine writes its results.
    #[inline]
    pub fn results(&mut self) -> Results<'_> {
        Results(&mut self.entries)
    }

    /// The event of a slot that has a result.
    #[inline]
    pub fn event(&self, slot: usize) -> Event {
        event(&self.entries[slot])
    }

    /// Appends the events that were not taken to `events`, in the order of the slots.
    #[inline]
    pub fn move_events_to(&mut self, events: &mut Vec<Event>) {
        events.reserve(self.left);
        let ready = self.entries.iter().skip(self.next).filter(|entry| entry.revents != 0);
        ready.take(self.left).for_each(|entry| events.push(event(entry)));
        self.left = 0;
    }

    /// Calls `function` with the events that were not taken, in the order of the slots.
    #[cfg(feature = "bindings")]
    #[inline]
    pub fn for_each_event(&mut self, function: impl FnMut(Event)) {
        let ready = self.entries.iter().skip(self.next).filter(|entry| entry.revents != 0);
        ready.take(self.left).map(event).for_each(function);
        self.left = 0;
    }

    /// The next slot with an event. Each is returned once.
    #[cfg(feature = "bindings")]
    #[inline]
    pub fn take_slot(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let slot = self.find()?;
        self.next = slot + 1;
        Some(slot)
    }

    #[cfg(feature = "bindings")]
    #[inline]
    fn find(&self) -> Option<usize> {
        let rest = self.entries.get(self.next..)?;
        Some(self.next + rest.iter().position(|entry| entry.revents != 0)?)
    }

    /// The slot that [`take_slot`](Self::take_slot) is to return.
    #[cfg(feature = "bindings")]
    pub fn next_slot(&self) -> Option<usize> {
        if self.left == 0 { None } else { self.find() }
    }
}

/// The results of a wait, by slot.
#[cfg_attr(not(has_epoll), allow(dead_code))]
pub struct Results<'a>(&'a mut [libc::pollfd]);

#[cfg_attr(not(has_epoll), allow(dead_code))]
impl Results<'_> {
    pub fn slots(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn set(&mut self, slot: usize, revents: PollFlags) {
        self.0[slot].revents = revents.bits() as i16;
    }

    #[inline]
    pub fn reborrow(&mut self) -> Results<'_> {
        Results(self.0)
    }
}

#[inline]
fn event(entry: &libc::pollfd) -> Event {
    Event { fd: entry.fd, revents: PollFlags::from_bits_retain(entry.revents as u16) }
}
