//! The registrations: descriptors and their masks, in registration order.
//!
//! Each registration has a *slot*; the order of the slots is the order of registration. Engines keep
//! arrays of their own by slot number, and take the changes at the start of a wait
//! ([`Registrations::take_changes`]).
//!
//! Only a removal can't always wait for that: after it, the descriptor may be closed while its file
//! lives on in a forked child, and then the kernel can't remove its epoll entry any more. So it is
//! deleted at once, or at the end of the wait in progress ([`Registrations::delete_removed`]).

use std::os::fd::RawFd;

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::PollFlags;
use crate::sys::epoll::Epoll;
use crate::sys::process_generation;

/// Up to this many slots are stored inside the object and searched one by one.
pub const SMALL: usize = 8;

/// The number in a slot whose descriptor was unregistered. poll(2) ignores it.
pub const VACANT: RawFd = -1;

/// How many entries are deleted at a time: at the end of a wait, other threads can get the lock in
/// between.
const BATCH: usize = 64;

/// The key of a slot that the epoll engine has not taken.
pub const NO_KEY: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub struct Slot {
    pub fd: RawFd,
    /// Of its entry in the epoll engine. It stays the same when the slot is renumbered.
    pub key: u32,
    pub events: PollFlags,
    /// Registered, and not just modified, since the engines took the changes: the number may mean
    /// another file.
    pub was_registered: bool,
    /// [`DIRTY`], and `MARKED` for bindings.
    flags: u8,
}

/// In [`Registrations::dirty`].
const DIRTY: u8 = 1;
/// See [`Registrations::mark`]. New registrations are not marked.
#[cfg(feature = "bindings")]
const MARKED: u8 = 2;

pub struct Registrations {
    slots: SmallVec<[Slot; SMALL]>,
    /// The slot of each descriptor. In use while there are more than [`SMALL`] slots.
    index: HashTable<u32>,
    vacant: usize,
    /// The engines have the slots below this one as they are here, except those in `dirty`.
    synced: usize,
    /// The slots below `synced` that have changed since.
    dirty: Vec<u32>,
    /// The epoll instance that has entries for registrations. `None`: there is none, or it was found
    /// to be lost.
    instance: Option<Box<Instance>>,
}

#[cfg_attr(not(has_epoll), allow(dead_code))]
struct Instance {
    epoll: Epoll,
    /// The unregistered descriptors that the epoll engine has not freed yet.
    removed: Vec<Removed>,
    /// The entries of the first ones were deleted from the instance.
    deleted: usize,
}

#[derive(Clone, Copy)]
#[cfg_attr(not(has_epoll), allow(dead_code))]
struct Removed {
    key: u32,
    fd: RawFd,
}

impl Registrations {
    pub const fn new() -> Self {
        Self {
            slots: SmallVec::new_const(),
            index: HashTable::new(),
            vacant: 0,
            synced: 0,
            dirty: Vec::new(),
            instance: None,
        }
    }

    /// Makes room for `slots` slots in all.
    pub fn reserve(&mut self, slots: usize) {
        if slots > SMALL {
            self.slots.reserve(slots.saturating_sub(self.slots.len()));
            self.reserve_index(slots);
        }
    }

    /// The number of slots, vacant ones included.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant
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
            Some(slot) => self.replace(slot, events),
            None => {
                self.push(Slot { fd, key: NO_KEY, events, was_registered: true, flags: 0 });
            }
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

    /// Sets or clears the mark of a registration. Returns whether it was set; `None` if `fd` is not registered.
    #[cfg(feature = "bindings")]
    pub fn mark(&mut self, fd: RawFd, is_marked: bool) -> Option<bool> {
        let slot = self.find(fd)?;
        let flags = &mut self.slots[slot].flags;
        let was_marked = *flags & MARKED != 0;
        *flags = if is_marked { *flags | MARKED } else { *flags & !MARKED };
        Some(was_marked)
    }

    #[cfg(feature = "bindings")]
    pub fn mark_all(&mut self) {
        for slot in &mut self.slots {
            slot.flags |= MARKED;
        }
    }

    /// False if `fd` is not registered.
    pub fn unregister(&mut self, fd: RawFd) -> bool {
        let Some(slot) = self.find(fd) else {
            return false;
        };
        let key = self.slots[slot].key;
        if key != NO_KEY {
            if let Some(instance) = self.own_instance() {
                instance.removed.push(Removed { key, fd });
            }
        }
        self.remove(slot);
        true
    }

    pub fn clear(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        if let Some(instance) = self.own_instance() {
            let taken = slots.iter().filter(|slot| slot.key != NO_KEY);
            instance.removed.extend(taken.map(|slot| Removed { key: slot.key, fd: slot.fd }));
        }
        self.index.clear();
        self.dirty.clear();
        self.vacant = 0;
        self.synced = 0;
    }

    /// The epoll instance, unless it is that of a parent process.
    fn own_instance(&mut self) -> Option<&mut Instance> {
        let instance = self.instance.as_deref_mut();
        instance.filter(|instance| instance.epoll.is_owned_by(process_generation()))
    }

    /// Shows every slot to `visit`, without a key, for an engine with a new instance.
    #[cfg(has_epoll)]
    pub fn attach_epoll(&mut self, epoll: Epoll, mut visit: impl FnMut(usize, &mut Slot)) {
        self.instance = Some(Box::new(Instance { epoll, removed: Vec::new(), deleted: 0 }));
        for (number, slot) in self.slots.iter_mut().enumerate() {
            slot.key = NO_KEY;
            visit(number, slot);
        }
    }

    /// Puts another instance in the place of the one that there is. The keys stay.
    pub fn replace_epoll(&mut self, epoll: Epoll) {
        if let Some(instance) = &mut self.instance {
            instance.epoll = epoll;
        }
    }

    /// Forgets the epoll instance. The keys become void.
    pub fn detach_epoll(&mut self) {
        self.instance = None;
    }

    /// Whether there is an epoll instance, as far as it is known.
    pub fn has_epoll(&self) -> bool {
        self.instance.is_some()
    }

    /// Whether entries of unregistered descriptors are to be deleted from the instance.
    pub fn has_undeleted(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.deleted < instance.removed.len())
    }

    /// Deletes some of them. Returns whether there are more. Those of a parent's instance are left
    /// to the parent.
    pub fn delete_removed(&mut self) -> bool {
        let Some(instance) = self.own_instance() else { return false };
        for _ in 0..BATCH {
            let Some(removed) = instance.removed.get(instance.deleted) else { return false };
            instance.deleted += 1;
            // The call fails if the descriptor has no entry, or is closed. If its file lives on, the
            // events of the entry will show that.
            if instance.epoll.delete(removed.fd).is_err() && !instance.epoll.has_mark() {
                self.instance = None;
                return false;
            }
        }
        instance.deleted < instance.removed.len()
    }

    /// The key of an unregistered slot whose entry was deleted, and can be freed.
    #[cfg(has_epoll)]
    #[inline]
    pub fn pop_deleted(&mut self) -> Option<u32> {
        let instance = self.instance.as_mut()?;
        instance.deleted = instance.deleted.checked_sub(1)?;
        Some(instance.removed.swap_remove(instance.deleted).key)
    }

    /// In a forked child, resets what a thread of the parent may have left half done in
    /// [`take_changes`](Self::take_changes). The engines start anew.
    pub fn reset_after_fork(&mut self) {
        self.synced = 0;
        // They may be in the middle of a change, and can't be freed.
        std::mem::forget(std::mem::take(&mut self.dirty));
        std::mem::forget(self.instance.take());
        for slot in &mut self.slots {
            slot.flags &= !DIRTY;
            slot.key = NO_KEY;
        }
    }

    /// Removes the vacant slots, in time proportional to the number of slots.
    pub fn compact(&mut self) {
        let first_vacant = self.slots.iter().position(|slot| slot.fd == VACANT);
        let Some(first_vacant) = first_vacant else { return };
        self.slots.retain(|slot| slot.fd != VACANT);
        self.vacant = 0;
        self.synced = self.synced.min(first_vacant);
        self.rebuild_index();
    }

    /// The number of slots that have the same numbers as when the engines last took the changes.
    pub fn synced(&self) -> usize {
        self.synced
    }

    /// Shows slots to `visit`: those of the first `kept` that have changed, and all others, in order.
    pub fn take_changes(&mut self, kept: usize, mut visit: impl FnMut(usize, &mut Slot)) {
        // The length is read before the slots are written. For small sets the two share memory,
        // and a load that overlaps a recent, narrower store stalls.
        let slots = self.slots.as_mut_slice();
        self.synced = slots.len();
        let (kept_slots, new) = slots.split_at_mut(kept);
        for number in self.dirty.iter().map(|&number| number as usize) {
            if let Some(slot) = kept_slots.get_mut(number) {
                slot.flags &= !DIRTY;
                visit(number, slot);
            }
        }
        self.dirty.clear();
        for (slot, number) in new.iter_mut().zip(kept..) {
            slot.flags &= !DIRTY;
            visit(number, slot);
        }
    }

    fn find(&self, fd: RawFd) -> Option<usize> {
        if fd == VACANT {
            None
        } else if self.slots.len() <= SMALL {
            self.slots.iter().position(|slot| slot.fd == fd)
        } else {
            let has_fd = |&slot: &u32| self.slots[slot as usize].fd == fd;
            self.index.find(hash(fd), has_fd).map(|&slot| slot as usize)
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

    #[inline(never)] // it is rare, and to register a new descriptor is faster without it
    fn replace(&mut self, slot: usize, events: PollFlags) {
        self.slots[slot].was_registered = true;
        self.set_events(slot, events);
    }

    fn set_events(&mut self, slot: usize, events: PollFlags) {
        self.slots[slot].events = events;
        self.mark_dirty(slot);
    }

    fn remove(&mut self, slot: usize) {
        if self.slots.len() <= SMALL {
            self.slots.remove(slot);
            self.synced = self.synced.min(slot);
            return;
        }
        let fd = self.slots[slot].fd;
        if let Ok(entry) = self.index.find_entry(hash(fd), |&number| number as usize == slot) {
            entry.remove();
        }
        self.slots[slot].fd = VACANT;
        self.slots[slot].key = NO_KEY;
        self.vacant += 1;
        self.mark_dirty(slot);
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
        self.synced = self.synced.min(self.slots.len());
    }

    fn mark_dirty(&mut self, slot: usize) {
        if slot < self.synced && self.slots[slot].flags & DIRTY == 0 {
            self.slots[slot].flags |= DIRTY;
            self.dirty.push(slot as u32);
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

    /// Makes room for `slots` slots in all.
    fn reserve_index(&mut self, slots: usize) {
        if self.slots.len() <= SMALL {
            // It is stale: it was in use when there were more slots.
            self.index.clear();
        }
        let additional = slots.saturating_sub(self.index.len());
        self.index.reserve(additional, |&slot| hash(self.slots[slot as usize].fd));
    }
}

/// Fibonacci hashing. The kernel chooses descriptor numbers, not an attacker, and assigns the lowest
/// free one. The shift keeps numbers in regular gaps from colliding.
pub fn hash(fd: RawFd) -> u64 {
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

    /// Takes the changes as an engine that keeps its entries. Returns the slots that it is shown, and
    /// gives each a key.
    fn take(registrations: &mut Registrations) -> Vec<usize> {
        let mut shown = Vec::new();
        registrations.take_changes(registrations.synced(), |number, slot| {
            slot.key = number as u32;
            shown.push(number);
        });
        shown
    }

    #[test]
    fn only_changed_slots_are_shown() {
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
    fn vacant_slots_at_the_end_are_removed_at_once() {
        let mut registrations = registered();
        take(&mut registrations);
        for fd in [18, 17, 19] {
            assert!(registrations.unregister(fd));
        }
        assert_eq!((registrations.slots(), registrations.len()), (17, 17));
    }

    #[test]
    fn after_a_fork_every_slot_is_shown_and_has_no_key() {
        let mut registrations = registered();
        take(&mut registrations);
        registrations.modify(3, PollFlags::OUT);
        registrations.unregister(7);
        registrations.reset_after_fork();
        assert!(registrations.slots.iter().all(|slot| slot.key == NO_KEY));
        assert!(take(&mut registrations).into_iter().eq(0..COUNT));
        registrations.modify(3, PollFlags::IN);
        assert_eq!(take(&mut registrations), [3]);
    }

    #[cfg(has_epoll)]
    #[test]
    #[cfg_attr(miri, ignore = "it makes system calls")]
    fn keys_of_unregistered_slots_are_kept_for_their_engine_alone() {
        let mut registrations = registered();
        take(&mut registrations);
        registrations.unregister(6);
        assert!(!registrations.has_undeleted(), "there is no instance");
        let epoll = Epoll::new(|_| false).unwrap();
        registrations.attach_epoll(epoll, |number, slot| slot.key = number as u32);
        registrations.unregister(7);
        assert_eq!(registrations.pop_deleted(), None);
        registrations.delete_removed();
        assert_eq!(registrations.pop_deleted(), Some(7));
        assert_eq!(registrations.pop_deleted(), None);
        registrations.unregister(8);
        registrations.attach_epoll(epoll, |number, slot| slot.key = number as u32);
        assert!(!registrations.has_undeleted(), "it was of another engine");
        registrations.unregister(9);
        epoll.close();
        assert!(registrations.has_undeleted() && registrations.has_epoll());
        registrations.delete_removed();
        assert!(!registrations.has_epoll(), "it is lost");
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
