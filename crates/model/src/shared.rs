//! The protocol of the module of this name in the library, on lists in the place of registrations
//! and engines. All descriptors are polled on epoll.

use std::mem::forget;
use std::sync::atomic::Ordering::{Release, SeqCst};

use crate::epoll::Epoll;
use crate::lock::{ForkLock, Guard, Lease, Purpose};
use crate::sync::AtomicU32;
use crate::sys::process_generation;

pub type Fd = u32;

/// How many entries are deleted before other threads get the lock.
const BATCH: usize = 1;

#[derive(Clone, Copy)]
struct Slot {
    /// `None`: it was unregistered.
    fd: Option<Fd>,
    /// It has an entry in the epoll engine.
    has_key: bool,
}

pub struct Registrations {
    slots: Vec<Slot>,
    synced: usize,
    /// The slots below `synced` that have changed since.
    dirty: Vec<usize>,
    instance: Option<Instance>,
}

struct Instance {
    epoll: Epoll,
    /// The unregistered descriptors that the epoll engine has not freed yet.
    removed: Vec<Fd>,
    /// The entries of the first ones were deleted from the instance.
    deleted: usize,
}

impl Registrations {
    fn new(fds: &[Fd]) -> Self {
        let mut new = Self { slots: Vec::new(), synced: 0, dirty: Vec::new(), instance: None };
        fds.iter().for_each(|&fd| new.register(fd));
        new
    }

    fn register(&mut self, fd: Fd) {
        self.slots.push(Slot { fd: Some(fd), has_key: false });
    }

    fn unregister(&mut self, fd: Fd) -> bool {
        let has_fd = |slot: &Slot| slot.fd == Some(fd);
        let Some(slot) = self.slots.iter().position(has_fd) else { return false };
        if self.slots[slot].has_key
            && let Some(instance) = &mut self.instance
            && instance.epoll.is_owned_by(process_generation())
        {
            instance.removed.push(fd);
        }
        self.slots[slot] = Slot { fd: None, has_key: false };
        if slot < self.synced {
            self.dirty.push(slot);
        }
        true
    }

    fn attach_epoll(&mut self, epoll: Epoll) {
        self.instance = Some(Instance { epoll, removed: Vec::new(), deleted: 0 });
        for slot in &mut self.slots {
            slot.has_key = slot.fd.is_some();
        }
    }

    fn has_undeleted(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.deleted < instance.removed.len())
    }

    fn delete_removed(&mut self) {
        let Some(instance) = &mut self.instance else { return };
        if !instance.epoll.is_owned_by(process_generation()) {
            self.instance = None;
            return;
        }
        for _ in 0..BATCH {
            let Some(&fd) = instance.removed.get(instance.deleted) else { return };
            instance.deleted += 1;
            instance.epoll.delete(fd);
        }
    }

    fn pop_deleted(&mut self) -> Option<Fd> {
        let instance = self.instance.as_mut()?;
        instance.deleted = instance.deleted.checked_sub(1)?;
        Some(instance.removed.swap_remove(instance.deleted))
    }

    fn reset_after_fork(&mut self) {
        self.synced = 0;
        self.dirty.clear();
        self.instance = None;
        for slot in &mut self.slots {
            slot.has_key = false;
        }
    }
}

#[derive(Default)]
pub struct Engines {
    slots: Vec<Option<Fd>>,
    epoll: Option<EpollEngine>,
}

struct EpollEngine {
    epoll: Epoll,
    entries: Vec<Fd>,
    pending: Vec<Fd>,
}

impl Engines {
    fn discard_inherited_epoll(&mut self, generation: u32) {
        self.epoll = self.epoll.take().filter(|epoll| epoll.epoll.is_owned_by(generation));
    }

    fn take_changes(&mut self, registrations: &mut Registrations) {
        if let Some(epoll) = &mut self.epoll {
            while registrations.has_undeleted() {
                registrations.delete_removed();
            }
            while let Some(fd) = registrations.pop_deleted() {
                let entry = epoll.entries.iter().position(|&entry| entry == fd);
                epoll.entries.swap_remove(entry.expect("it was freed before"));
            }
        }
        let kept = self.slots.len().min(registrations.synced);
        registrations.synced = registrations.slots.len();
        self.slots.truncate(kept);
        for slot in registrations.dirty.drain(..).filter(|&slot| slot < kept) {
            self.slots[slot] = registrations.slots[slot].fd;
        }
        for slot in &mut registrations.slots[kept..] {
            self.slots.push(slot.fd);
            if let (Some(fd), false, Some(epoll)) = (slot.fd, slot.has_key, &mut self.epoll) {
                slot.has_key = true;
                epoll.entries.push(fd);
                epoll.pending.push(fd);
            }
        }
        if self.epoll.is_none() {
            let epoll = Epoll::new();
            registrations.attach_epoll(epoll.clone());
            self.epoll = Some(EpollEngine { epoll, entries: self.fds(), pending: self.fds() });
        }
    }

    fn install(&mut self) {
        if let Some(EpollEngine { epoll, pending, .. }) = &mut self.epoll {
            pending.drain(..).for_each(|fd| epoll.add(fd));
        }
    }

    pub fn fds(&self) -> Vec<Fd> {
        self.slots.iter().flatten().copied().collect()
    }
}

pub struct Shared {
    registrations: ForkLock<Registrations>,
    changes: AtomicU32,
    engines: ForkLock<Engines>,
}

impl Shared {
    pub fn new(fds: &[Fd]) -> Self {
        Self {
            registrations: ForkLock::new(Registrations::new(fds)),
            changes: AtomicU32::new(fds.len() as u32),
            engines: ForkLock::new(Engines::default()),
        }
    }

    /// The number of registrations.
    pub fn count(&self) -> usize {
        self.lock(Purpose::Reading).slots.iter().filter(|slot| slot.fd.is_some()).count()
    }

    /// The entries of the instance.
    pub fn installed(&self) -> Vec<Fd> {
        let registrations = self.lock(Purpose::Reading);
        registrations.instance.iter().flat_map(|instance| instance.epoll.installed()).collect()
    }

    pub fn register(&self, fd: Fd) {
        let mut registrations = self.lock(Purpose::Changing);
        registrations.register(fd);
        self.changes.store(self.changes().saturating_add(1), Release);
    }

    pub fn unregister(&self, fd: Fd) -> bool {
        let mut registrations = self.lock(Purpose::Changing);
        if !registrations.unregister(fd) {
            return false;
        }
        self.changes.store(self.changes().saturating_add(1), SeqCst);
        if registrations.has_undeleted() {
            registrations.set_purpose(Purpose::Syncing);
            self.delete_removed(registrations);
        }
        true
    }

    fn delete_removed<'a>(&'a self, mut registrations: Guard<'a, Registrations>) {
        while !self.engines.notify_lease() {
            registrations.delete_removed();
            if !registrations.has_undeleted() {
                return;
            }
            drop(registrations);
            registrations = self.lock(Purpose::Syncing);
        }
    }

    fn end_lease(&self, engines: &mut Lease<'_, Engines>) {
        if engines.end() {
            self.delete_removed(self.lock(Purpose::Syncing));
        }
    }

    fn lock(&self, purpose: Purpose) -> Guard<'_, Registrations> {
        self.registrations.lock(purpose, |registrations| {
            registrations.reset_after_fork();
            self.changes.store(u32::MAX, Release);
        })
    }

    fn changes(&self) -> u32 {
        self.changes.load(SeqCst)
    }

    fn prepare(&self, engines: &mut Engines) {
        if self.changes() != 0 {
            let mut registrations = self.lock(Purpose::Syncing);
            self.changes.store(0, Release);
            engines.take_changes(&mut registrations);
        }
        engines.install();
    }

    /// `None`: another wait is in progress.
    pub fn start(&self) -> Option<Waiting<'_>> {
        let engines = self.engines.try_lease(|| {
            self.changes.store(u32::MAX, Release);
            Engines::default()
        });
        Some(Waiting { shared: self, engines: engines?, is_prepared: false, may_have_epoll: true })
    }

    /// A wait that is over at once. Returns the descriptors that it polls; `None` if it is refused.
    pub fn wait(&self) -> Option<Vec<Fd>> {
        self.start()?.poll()
    }

    /// The first part of [`prepare`](Self::prepare), on a thread of the parent: it has taken a change
    /// off the list, the engines don't have it yet, and it still owns the lock.
    pub fn prepare_in_part(&self) {
        let mut registrations = self.lock(Purpose::Syncing);
        self.changes.store(0, Release);
        registrations.dirty.pop();
        forget(registrations);
    }
}

/// What the library's `waiting.rs` does with the lease.
pub struct Waiting<'a> {
    shared: &'a Shared,
    engines: Lease<'a, Engines>,
    is_prepared: bool,
    may_have_epoll: bool,
}

impl Waiting<'_> {
    /// Polls, after the changes were taken. Returns the descriptors, in numeric order. `None`: this is a forked child,
    /// and another wait has taken the engines over.
    pub fn poll(&mut self) -> Option<Vec<Fd>> {
        let engines = self.engines.get()?;
        engines.discard_inherited_epoll(process_generation());
        if !self.is_prepared {
            self.shared.prepare(engines);
            self.may_have_epoll = engines.epoll.is_some();
            self.is_prepared = true;
        }
        let mut fds = engines.fds();
        fds.sort_unstable();
        if let Some(engine) = &engines.epoll {
            assert_eq!(engine.epoll.installed(), fds, "the entries are not those of the wait");
        }
        Some(fds)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.may_have_epoll {
            self.shared.end_lease(&mut self.engines);
        }
    }
}
