//! Keeps the kernel's interest list in step with the registrations.

use std::mem::take;
use std::os::fd::RawFd;

use rustix::io::Errno;

use super::serials::Serials;
use super::{Entry, EpollEngine, State, Target, Trust, is, pollfd};
use crate::PollFlags;
use crate::engine::{Failure, Pending};
use crate::registrations::{NO_KEY, Registrations, Slot, VACANT};
use crate::stats::Counters;
use crate::sys::epoll::{Epoll, Token};
use crate::sys::kinds::epoll_is_reliable_for;

impl EpollEngine {
    /// Frees the entries of the descriptors that were unregistered. The kernel's are deleted already.
    #[inline]
    pub fn free_deleted(&mut self, registrations: &mut Registrations) {
        while let Some(key) = registrations.pop_deleted() {
            self.free(key);
        }
    }

    fn free(&mut self, key: u32) {
        self.leave_fallbacks(key);
        let entry = &mut self.entries[key as usize];
        self.pending_additions -= usize::from(entry.is_pending && entry.state == State::New);
        entry.state = State::Free;
        self.targets[key as usize].serial = 0;
        self.free_keys.push(key);
    }

    /// Makes this the engine of the registrations.
    pub fn take_all(&mut self, registrations: &mut Registrations) {
        registrations.attach_epoll(self.epoll, |number, slot| self.set(number, slot));
    }

    /// Copies a slot. The kernel's entry follows in [`install`](Self::install).
    pub fn set(&mut self, number: usize, slot: &mut Slot) {
        if slot.fd == VACANT {
            return;
        }
        let was_registered = take(&mut slot.was_registered);
        if slot.key == NO_KEY {
            slot.key = self.new_entry(slot.fd);
        }
        self.targets[slot.key as usize].slot = number as u32;
        let entry = &mut self.entries[slot.key as usize];
        entry.interest = slot.events & PollFlags::all();
        entry.was_registered |= was_registered;
        self.make_pending(slot.key);
    }

    fn new_entry(&mut self, fd: RawFd) -> u32 {
        let entry = Entry {
            fd,
            interest: PollFlags::empty(),
            installed: PollFlags::empty(),
            state: State::New,
            is_pending: false,
            was_registered: false,
            trust: Trust::Full,
            has_result: false,
            is_compared_next: false,
            ends: 0,
        };
        match self.free_keys.pop() {
            Some(key) => {
                let is_pending = self.entries[key as usize].is_pending;
                self.pending_additions += usize::from(is_pending);
                self.entries[key as usize] = Entry { is_pending, ..entry };
                key
            }
            None => {
                self.entries.push(entry);
                self.targets.push(Target { slot: 0, serial: 0 });
                self.entries.len() as u32 - 1
            }
        }
    }

    fn make_pending(&mut self, key: u32) {
        let entry = &mut self.entries[key as usize];
        if !entry.is_pending {
            entry.is_pending = true;
            self.pending_additions += usize::from(entry.state == State::New);
            self.pending.push(key);
        }
    }

    /// Whether there are entries to [`install`](Self::install).
    #[inline]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub fn pending(&self) -> Pending {
        let additions = self.pending_additions;
        Pending { additions, modifications: self.pending.len() - additions }
    }

    /// Whether the instance is to be replaced before [`install`](Self::install).
    pub fn has_exhausted_serials(&self) -> bool {
        self.serials.are_exhausted(self.pending.len())
    }

    /// Makes the kernel's entries those of the registrations: the first `entries` that are pending.
    /// Returns for how many there were none.
    #[inline]
    pub fn install(&mut self, entries: usize, counters: &Counters) -> Result<usize, Failure> {
        if self.is_lost {
            return Err(Failure::Lost);
        }
        let mut added = 0;
        for place in 0..entries {
            let key = self.pending[place];
            let entry = &mut self.entries[key as usize];
            entry.is_pending = false;
            let was_registered = take(&mut entry.was_registered);
            if was_registered {
                entry.trust = Trust::Full;
                entry.ends = 0;
            }
            match entry.state {
                State::Free => continue,
                State::New => {
                    self.add(key, false)?;
                    added += 1;
                }
                _ if !was_registered && entry.interest == entry.installed => continue,
                State::Installed => self.modify(key)?,
                State::Fallback(_) => {
                    self.leave_fallbacks(key);
                    self.add(key, false)?;
                }
            }
            counters.changes_applied.add(1);
        }
        if entries == self.pending.len() {
            self.pending.clear();
            self.pending_additions = 0;
        } else {
            self.pending.drain(..entries);
            self.pending_additions -= added;
        }
        Ok(added)
    }

    /// Adds an entry to the instance, or makes the descriptor a fallback. `is_known`: its kind was
    /// found reliable before.
    fn add(&mut self, key: u32, is_known: bool) -> Result<(), Failure> {
        let Entry { fd, interest, trust, .. } = self.entries[key as usize];
        let is_reliable = is_known || epoll_is_reliable_for(fd);
        if may_miss_wakeups(interest) || trust == Trust::None || !is_reliable {
            self.make_fallback(key);
            return Ok(());
        }
        let serial = self.serials.allocate();
        let token = token(key, serial);
        let outcome = match self.epoll.add(fd, kernel_mask(interest), token) {
            Err(_) if !self.epoll.has_mark() => return Err(Failure::Lost),
            // An earlier entry of the same file and number, which could not be removed (B).
            Err(error) if is(&error, Errno::EXIST) => {
                self.epoll.modify(fd, kernel_mask(interest), token)
            }
            outcome => outcome,
        };
        match outcome {
            Ok(()) => {
                self.targets[key as usize].serial = serial;
                let entry = &mut self.entries[key as usize];
                entry.installed = interest;
                entry.state = State::Installed;
            }
            // G
            Err(error) if is(&error, Errno::NOSPC) || is(&error, Errno::NOMEM) => {
                return Err(Failure::Refused);
            }
            Err(_) => self.make_fallback(key),
        }
        Ok(())
    }

    #[inline]
    fn modify(&mut self, key: u32) -> Result<(), Failure> {
        let Entry { fd, interest, .. } = self.entries[key as usize];
        let serial = self.targets[key as usize].serial;
        if may_miss_wakeups(interest) {
            if self.epoll.delete(fd).is_err() && !self.epoll.has_mark() {
                return Err(Failure::Lost);
            }
            self.make_fallback(key);
            return Ok(());
        }
        match self.epoll.modify(fd, kernel_mask(interest), token(key, serial)) {
            Ok(()) => self.entries[key as usize].installed = interest,
            Err(_) if !self.epoll.has_mark() => return Err(Failure::Lost),
            // C
            Err(_) => self.add(key, false)?,
        }
        Ok(())
    }

    /// Repeats `EPOLL_CTL_MOD` with the mask that the entry has. If its number is closed or means
    /// another file (C), the entry is to be added anew.
    pub fn recheck_entry(&mut self, key: u32) {
        let Entry { fd, installed, state, .. } = self.entries[key as usize];
        let token = token(key, self.targets[key as usize].serial);
        if state == State::Installed
            && self.epoll.modify(fd, kernel_mask(installed), token).is_err()
        {
            self.reinstall(key);
        }
    }

    /// Has the entry added anew, for another file.
    pub fn reinstall(&mut self, key: u32) {
        self.targets[key as usize].serial = 0;
        let entry = &mut self.entries[key as usize];
        self.pending_additions += usize::from(entry.is_pending && entry.state != State::New);
        entry.state = State::New;
        entry.trust = Trust::Full;
        entry.ends = 0;
        self.make_pending(key);
    }

    /// Moves all entries to the `new` instance, and closes this one.
    pub fn replace(&mut self, new: Epoll, counters: &Counters) -> Result<(), Failure> {
        self.fallbacks[0] = pollfd(new.number(), PollFlags::IN);
        let old = std::mem::replace(&mut self.epoll, new);
        self.serials = Serials::new();
        counters.replaced.add(1);
        let outcome = self.move_entries_from(old);
        old.close();
        outcome
    }

    /// If an entry can be deleted from the `old` instance, the number still means the same file.
    fn move_entries_from(&mut self, old: Epoll) -> Result<(), Failure> {
        for key in 0..self.entries.len() as u32 {
            let Entry { fd, state, .. } = self.entries[key as usize];
            if state == State::Installed {
                self.targets[key as usize].serial = 0;
                let is_known = old.delete(fd).is_ok();
                self.add(key, is_known)?;
            }
        }
        Ok(())
    }

    pub fn make_fallback(&mut self, key: u32) {
        self.targets[key as usize].serial = 0;
        let entry = &mut self.entries[key as usize];
        entry.state = State::Fallback(self.fallback_keys.len() as u32);
        entry.installed = entry.interest;
        self.fallback_keys.push(key);
        self.fallbacks.push(pollfd(entry.fd, entry.interest));
    }

    fn leave_fallbacks(&mut self, key: u32) {
        let State::Fallback(place) = self.entries[key as usize].state else {
            return;
        };
        self.fallback_keys.swap_remove(place as usize);
        self.fallbacks.swap_remove(place as usize + 1);
        if let Some(&moved) = self.fallback_keys.get(place as usize) {
            self.entries[moved as usize].state = State::Fallback(place);
        }
    }
}

/// Whether epoll may ignore a wake-up for an event of the mask (F).
fn may_miss_wakeups(mask: PollFlags) -> bool {
    let reading = PollFlags::RDNORM | PollFlags::RDBAND | PollFlags::MSG | PollFlags::PRI;
    let writing = PollFlags::WRNORM | PollFlags::WRBAND;
    mask.intersects(reading) && !mask.contains(PollFlags::IN)
        || mask.intersects(writing) && !mask.contains(PollFlags::OUT)
}

/// With `IN`, the kernel reports the end of a connection as well, after which the descriptor is
/// likely to be closed: it is compared early. Those who have not requested it don't get it.
fn kernel_mask(interest: PollFlags) -> PollFlags {
    if interest.contains(PollFlags::IN) { interest | PollFlags::RDHUP } else { interest }
}

fn token(key: u32, serial: u32) -> Token {
    u64::from(serial) << 32 | u64::from(key)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "it makes system calls")]
    fn serial_numbers_start_anew_before_they_are_exhausted() {
        let (reader, _writer) = io::pipe().unwrap();
        let mut registrations = Registrations::new();
        registrations.register(reader.as_raw_fd(), PollFlags::IN);
        let mut engine = EpollEngine::new(|_| false, false).unwrap();
        engine.serials = Serials::with_one_left();
        engine.take_all(&mut registrations);
        let counters = Counters::new();
        for is_exhausted in [false, true, false] {
            engine.reinstall(0);
            assert_eq!(engine.has_exhausted_serials(), is_exhausted);
            if is_exhausted {
                engine.replace(Epoll::new(|_| false).unwrap(), &counters).unwrap();
            }
            engine.install(1, &counters).unwrap();
            assert!(engine.entries[0].state == State::Installed);
        }
    }
}
