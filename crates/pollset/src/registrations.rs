//! What is registered: the descriptors, in registration order, and the mask of each.
//!
//! Every registration has a *slot*, and the order of the slots is the order of registration.
//! Engines keep their own arrays by slot number. They are not told of each change: at the start of a
//! wait, [`Registrations::take_changes`] has all of them.

use std::os::fd::RawFd;

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::PollFlags;

/// Up to this many slots are found by looking at each, and live inside the object.
pub const SMALL: usize = 8;

/// The number in a slot whose descriptor was unregistered. poll(2) passes over it.
pub const VACANT: RawFd = -1;

/// No engine keeps anything under a key for this slot.
pub const NO_KEY: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub struct Slot {
    pub fd: RawFd,
    /// Under which the epoll engine knows it. Unlike the number of the slot, it stays the same.
    pub key: u32,
    pub events: PollFlags,
    /// Registered, not just modified, since the engines have seen it.
    pub is_news: bool,
    /// Listed in [`Registrations::changed`].
    changed: bool,
}

pub struct Registrations {
    slots: SmallVec<[Slot; SMALL]>,
    /// The slot of each descriptor. In use while there are more than [`SMALL`] slots.
    index: HashTable<u32>,
    vacant: usize,
    /// The slots below this one are those that the engine saw last, but for the changed ones.
    seen: usize,
    /// The slots below `seen` that have changed since.
    changed: Vec<u32>,
    /// The keys of unregistered slots, which the epoll engine doesn't know yet.
    departed: Vec<u32>,
}

impl Registrations {
    pub const fn new() -> Self {
        Self {
            slots: SmallVec::new_const(),
            index: HashTable::new(),
            vacant: 0,
            seen: 0,
            changed: Vec::new(),
            departed: Vec::new(),
        }
    }

    /// Makes room for so many slots in all.
    pub fn reserve(&mut self, slots: usize) {
        self.slots.reserve(slots.saturating_sub(self.slots.len()));
        if slots > SMALL {
            self.reserve_index(slots);
        }
    }

    /// How many slots there are, with a descriptor or without.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant
    }

    #[cfg(test)]
    /// Whether unregistering has left slots without a descriptor.
    pub fn has_vacant(&self) -> bool {
        self.vacant > 0
    }

    pub fn iter(&self) -> impl Iterator<Item = (RawFd, PollFlags)> + '_ {
        self.slots.iter().filter(|slot| slot.fd != VACANT).map(|slot| (slot.fd, slot.events))
    }

    pub fn interest(&self, fd: RawFd) -> Option<PollFlags> {
        self.find(fd).map(|slot| self.slots[slot].events)
    }

    /// `fd` must not be negative.
    pub fn register(&mut self, fd: RawFd, events: PollFlags) {
        match self.find(fd) {
            Some(slot) => {
                self.slots[slot].is_news = true;
                self.set_events(slot, events);
            }
            None => self.push(Slot { fd, key: NO_KEY, events, is_news: true, changed: false }),
        }
    }

    /// False if `fd` is not registered.
    pub fn modify(&mut self, fd: RawFd, events: PollFlags) -> bool {
        let found = self.find(fd);
        if let Some(slot) = found {
            self.set_events(slot, events);
        }
        found.is_some()
    }

    /// False if `fd` is not registered.
    pub fn unregister(&mut self, fd: RawFd) -> bool {
        let Some(slot) = self.find(fd) else {
            return false;
        };
        let key = self.slots[slot].key;
        if key != NO_KEY {
            self.departed.push(key);
        }
        self.remove(slot);
        true
    }

    /// Moves the keys of unregistered slots to `departed`, which is empty.
    pub fn take_departed(&mut self, departed: &mut Vec<u32>) {
        std::mem::swap(&mut self.departed, departed);
    }

    pub fn has_departed(&self) -> bool {
        !self.departed.is_empty()
    }

    /// Makes all keys void, and shows every slot to `visit`.
    pub fn assign_keys(&mut self, mut visit: impl FnMut(usize, &mut Slot)) {
        self.departed.clear();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            slot.key = NO_KEY;
            visit(number, slot);
        }
    }

    /// In a forked child, makes anew what a thread that doesn't exist there may have left half done
    /// in taking changes: the engines start over.
    pub fn start_over(&mut self) {
        self.seen = 0;
        // They may be half swapped with others, and are not to be freed.
        std::mem::forget(std::mem::take(&mut self.changed));
        std::mem::forget(std::mem::take(&mut self.departed));
        for slot in &mut self.slots {
            slot.changed = false;
            slot.key = NO_KEY;
        }
    }

    /// Closes the gaps that unregistering has left. Takes time in proportion to the slots.
    pub fn compact(&mut self) {
        let first_gap = self.slots.iter().position(|slot| slot.fd == VACANT);
        let Some(first_gap) = first_gap else { return };
        self.slots.retain(|slot| slot.fd != VACANT);
        self.vacant = 0;
        self.seen = self.seen.min(first_gap);
        self.rebuild_index();
    }

    /// How many slots have the numbers that they had when the engines saw them last.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Shows `visit` the slots that have changed, for engines that have kept their entries of the
    /// first `kept` slots; those above are shown in any case, in order.
    pub fn take_changes(&mut self, kept: usize, mut visit: impl FnMut(usize, &mut Slot)) {
        // How long it is is read before the slots are written to. It is where those of small sets
        // are, and a processor waits for parts of what it reads to be written.
        let slots = self.slots.as_mut_slice();
        self.seen = slots.len();
        let (known, new) = slots.split_at_mut(kept);
        for number in self.changed.iter().map(|&number| number as usize) {
            if let Some(slot) = known.get_mut(number) {
                slot.changed = false;
                visit(number, slot);
            }
        }
        self.changed.clear();
        for (slot, number) in new.iter_mut().zip(kept..) {
            slot.changed = false;
            visit(number, slot);
        }
    }

    fn find(&self, fd: RawFd) -> Option<usize> {
        if fd == VACANT {
            None
        } else if self.slots.len() <= SMALL {
            self.slots.iter().position(|slot| slot.fd == fd)
        } else {
            let is_it = |&slot: &u32| self.slots[slot as usize].fd == fd;
            self.index.find(hash(fd), is_it).map(|&slot| slot as usize)
        }
    }

    fn push(&mut self, slot: Slot) {
        let number = self.slots.len();
        self.slots.push(slot);
        if number > SMALL {
            let rehash = |&slot: &u32| hash(self.slots[slot as usize].fd);
            self.index.insert_unique(hash(slot.fd), number as u32, rehash);
        } else if number == SMALL {
            self.rebuild_index();
        }
    }

    fn set_events(&mut self, slot: usize, events: PollFlags) {
        self.slots[slot].events = events;
        self.mark_changed(slot);
    }

    fn remove(&mut self, slot: usize) {
        if self.slots.len() <= SMALL {
            self.slots.remove(slot);
            self.seen = self.seen.min(slot);
            return;
        }
        let fd = self.slots[slot].fd;
        if let Ok(entry) = self.index.find_entry(hash(fd), |&number| number as usize == slot) {
            entry.remove();
        }
        self.slots[slot].fd = VACANT;
        self.slots[slot].key = NO_KEY;
        self.vacant += 1;
        self.mark_changed(slot);
        self.drop_vacant_tail();
        if self.vacant > self.slots.len() / 2 {
            self.compact();
        }
    }

    fn drop_vacant_tail(&mut self) {
        while self.slots.last().is_some_and(|slot| slot.fd == VACANT) {
            self.slots.pop();
            self.vacant -= 1;
        }
        self.seen = self.seen.min(self.slots.len());
    }

    fn mark_changed(&mut self, slot: usize) {
        if slot < self.seen && !self.slots[slot].changed {
            self.slots[slot].changed = true;
            self.changed.push(slot as u32);
        }
    }

    fn rebuild_index(&mut self) {
        self.index.clear();
        if self.slots.len() <= SMALL {
            return;
        }
        self.reserve_index(self.slots.len() + SMALL);
        let rehash = |&slot: &u32| hash(self.slots[slot as usize].fd);
        for (number, slot) in self.slots.iter().enumerate() {
            if slot.fd != VACANT {
                self.index.insert_unique(hash(slot.fd), number as u32, rehash);
            }
        }
    }

    /// For so many slots in all.
    fn reserve_index(&mut self, slots: usize) {
        if self.slots.len() <= SMALL {
            // Left from a time when there were more: the slots that it names may be gone.
            self.index.clear();
        }
        let additional = slots.saturating_sub(self.index.len());
        self.index.reserve(additional, |&slot| hash(self.slots[slot as usize].fd));
    }
}

/// Fibonacci hashing. The kernel chooses descriptor numbers, not an attacker, and gives out the
/// lowest that is free; the shift keeps regular gaps between them from colliding.
fn hash(fd: RawFd) -> u64 {
    let product = (fd as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    product ^ (product >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 20;

    fn registered() -> Registrations {
        let mut registrations = Registrations::new();
        for fd in 0..COUNT {
            registrations.register(fd as RawFd, PollFlags::IN);
        }
        registrations
    }

    /// Takes the changes as an engine that keeps what it has seen; returns the slots that it is
    /// shown, and gives each a key.
    fn take(registrations: &mut Registrations) -> Vec<usize> {
        let mut shown = Vec::new();
        registrations.take_changes(registrations.seen(), |number, slot| {
            slot.key = number as u32;
            shown.push(number);
        });
        shown
    }

    #[test]
    fn only_what_has_changed_is_shown() {
        let mut registrations = registered();
        assert!(take(&mut registrations).into_iter().eq(0..COUNT));
        assert_eq!(take(&mut registrations), []);
        registrations.modify(3, PollFlags::OUT);
        registrations.register(COUNT as RawFd, PollFlags::IN);
        registrations.unregister(7);
        registrations.modify(3, PollFlags::IN);
        assert_eq!(take(&mut registrations), [3, 7, COUNT]);
        assert_eq!(take(&mut registrations), []);
    }

    #[test]
    fn vacant_slots_at_the_end_are_dropped_at_once() {
        let mut registrations = registered();
        take(&mut registrations);
        for fd in [18, 17, 19] {
            assert!(registrations.unregister(fd));
        }
        assert_eq!((registrations.slots.len(), registrations.has_vacant()), (17, false));
    }

    #[test]
    fn engines_that_start_over_are_shown_all_and_have_no_keys() {
        let mut registrations = registered();
        take(&mut registrations);
        registrations.modify(3, PollFlags::OUT);
        registrations.unregister(7);
        assert!(registrations.has_departed());
        registrations.start_over();
        assert!(!registrations.has_departed());
        assert!(registrations.slots.iter().all(|slot| slot.key == NO_KEY));
        assert!(take(&mut registrations).into_iter().eq(0..COUNT));
        registrations.modify(3, PollFlags::IN);
        assert_eq!(take(&mut registrations), [3]);
    }

    #[test]
    fn a_new_engine_is_told_of_none_that_have_departed() {
        let mut registrations = registered();
        take(&mut registrations);
        registrations.unregister(7);
        registrations.assign_keys(|number, slot| slot.key = number as u32);
        assert!(!registrations.has_departed());
    }

    #[test]
    fn numbers_in_regular_gaps_do_not_collide() {
        const PLACES: u64 = 4_096;
        for gap in (0..20).map(|shift| 1 << shift) {
            let places = (0..1_000).map(|i| hash(i * gap) % PLACES);
            let distinct = places.collect::<std::collections::HashSet<_>>().len();
            // Chance alone would give 887.
            assert!(distinct > 700, "{distinct} with gaps of {gap}");
        }
    }
}
