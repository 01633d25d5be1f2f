//! The protocol of the module of this name in the library, on lists in the place of registrations
//! and engines.

use std::mem::forget;
use std::sync::atomic::Ordering::{Acquire, Release};

use loom::sync::atomic::AtomicUsize;

use crate::lock::{ForkLock, Guard, Lease, Purpose};

pub type Fd = i32;

/// The slots of unregistered descriptors are `None`.
pub struct Registrations {
    slots: Vec<Option<Fd>>,
    synced: usize,
    /// The slots below `synced` that have changed since.
    dirty: Vec<usize>,
}

impl Registrations {
    fn register(&mut self, fd: Fd) {
        self.slots.push(Some(fd));
    }

    fn unregister(&mut self, fd: Fd) -> bool {
        let Some(slot) = self.slots.iter().position(|&slot| slot == Some(fd)) else { return false };
        self.slots[slot] = None;
        if slot < self.synced {
            self.dirty.push(slot);
        }
        true
    }

    fn reset_after_fork(&mut self) {
        self.synced = 0;
        self.dirty.clear();
    }
}

#[derive(Default)]
pub struct Engines {
    slots: Vec<Option<Fd>>,
}

impl Engines {
    fn take_changes(&mut self, registrations: &mut Registrations) {
        let Registrations { slots, synced, dirty } = registrations;
        let kept = self.slots.len().min(*synced);
        *synced = slots.len();
        self.slots.resize(slots.len(), None);
        for slot in dirty.drain(..).filter(|&slot| slot < kept) {
            self.slots[slot] = slots[slot];
        }
        self.slots[kept..].copy_from_slice(&slots[kept..]);
    }

    pub fn fds(&self) -> Vec<Fd> {
        self.slots.iter().flatten().copied().collect()
    }
}

pub struct Shared {
    registrations: ForkLock<Registrations>,
    changes: AtomicUsize,
    engines: ForkLock<Engines>,
}

impl Shared {
    pub fn new(fds: &[Fd]) -> Self {
        let slots = fds.iter().copied().map(Some).collect();
        let registrations = Registrations { slots, synced: 0, dirty: Vec::new() };
        Self {
            registrations: ForkLock::new(registrations),
            changes: AtomicUsize::new(fds.len()),
            engines: ForkLock::new(Engines::default()),
        }
    }

    /// The number of registrations.
    pub fn count(&self) -> usize {
        self.lock(Purpose::Reading).slots.iter().flatten().count()
    }

    pub fn register(&self, fd: Fd) {
        self.change(|registrations| {
            registrations.register(fd);
            true
        });
    }

    pub fn unregister(&self, fd: Fd) -> bool {
        self.change(|registrations| registrations.unregister(fd))
    }

    fn change(&self, change: impl FnOnce(&mut Registrations) -> bool) -> bool {
        let mut registrations = self.lock(Purpose::Changing);
        let has_changed = change(&mut registrations);
        if has_changed {
            self.changes.store(self.changes().saturating_add(1), Release);
        }
        has_changed
    }

    fn lock(&self, purpose: Purpose) -> Guard<'_, Registrations> {
        self.registrations.lock(purpose, |registrations| {
            registrations.reset_after_fork();
            self.changes.store(usize::MAX, Release);
        })
    }

    fn changes(&self) -> usize {
        self.changes.load(Acquire)
    }

    pub fn lease_engines(&self) -> Option<Lease<'_, Engines>> {
        self.engines.try_lease(|| {
            self.changes.store(usize::MAX, Release);
            Engines::default()
        })
    }

    pub fn prepare(&self, engines: &mut Engines) {
        if self.changes() != 0 {
            let mut registrations = self.lock(Purpose::Syncing);
            self.changes.store(0, Release);
            engines.take_changes(&mut registrations);
        }
    }

    /// A wait that is over at once. Returns the descriptors that it polls; `None` if it is refused.
    pub fn wait(&self) -> Option<Vec<Fd>> {
        let mut lease = self.lease_engines()?;
        let engines = lease.get()?;
        self.prepare(engines);
        Some(engines.fds())
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
