//! The state that threads share: the registrations and the engines, each under a lock of its own.
//!
//! The registrations are locked for a moment at each change, and at the start of a wait that follows
//! a change. The engines are leased to one wait. No lock of the registrations is held while
//! a wait blocks.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Release, SeqCst};

use crate::engine::Failure;
use crate::engines::Engines;
use crate::lock::{ForkLock, Guard, Lease, Purpose};
use crate::registrations::Registrations;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::{ConcurrentPoll, PollFlags};

pub struct Shared {
    registrations: ForkLock<Registrations>,
    /// The number of changes since the engines took them, or `usize::MAX` if it is not known. A wait
    /// that reads 0 need not lock the registrations. Written with the registrations locked or not
    /// shared, and by a wait that makes new engines.
    changes: AtomicUsize,
    engines: ForkLock<Engines>,
    settings: Settings,
    pub counters: Counters,
}

impl Shared {
    #[inline(always)] // the result is large, and would be copied
    pub const fn new(settings: Settings) -> Self {
        Self {
            registrations: ForkLock::new(Registrations::new()),
            changes: AtomicUsize::new(0),
            engines: ForkLock::new(Engines::new(settings)),
            settings,
            counters: Counters::new(),
        }
    }

    /// Locks the registrations to read them.
    pub fn read(&self) -> Guard<'_, Registrations> {
        self.lock(Purpose::Reading)
    }

    /// A copy of the registrations, in order.
    pub fn copy(&self) -> Vec<(RawFd, PollFlags)> {
        let mut copy = Vec::with_capacity(self.read().len());
        copy.extend(self.read().iter());
        copy
    }

    /// Locks the registrations to change them. `change` returns whether it has changed anything.
    #[inline]
    pub fn change(&self, change: impl FnOnce(&mut Registrations) -> bool) -> bool {
        let mut registrations = self.lock(Purpose::Changing);
        let has_changed = change(&mut registrations);
        if has_changed {
            self.changes.store(self.changes().saturating_add(1), Release);
        }
        has_changed
    }

    /// False if `fd` is not registered.
    pub fn unregister(&self, fd: RawFd) -> bool {
        let mut registrations = self.lock(Purpose::Changing);
        if !registrations.unregister(fd) {
            return false;
        }
        self.finish_removal(registrations, 1);
        true
    }

    pub fn clear(&self) {
        let mut registrations = self.lock(Purpose::Changing);
        let removed = registrations.len();
        registrations.clear();
        self.finish_removal(registrations, removed);
    }

    #[inline]
    fn finish_removal<'a>(&'a self, mut registrations: Guard<'a, Registrations>, removed: usize) {
        // SeqCst: if `delete_removed` finds no wait in progress, then each wait that begins later
        // reads a counter that isn't 0, and takes the lock, which this thread still holds.
        self.changes.store(self.changes().saturating_add(removed), SeqCst);
        if registrations.has_undeleted() {
            registrations.set_purpose(Purpose::Syncing);
            self.delete_removed(registrations);
        }
    }

    /// Deletes the epoll entries of unregistered descriptors, or leaves that to the wait in progress,
    /// which may still report them.
    #[cold]
    fn delete_removed<'a>(&'a self, mut registrations: Guard<'a, Registrations>) {
        while !self.engines.notify_lease() {
            if !registrations.delete_removed() {
                return;
            }
            drop(registrations);
            registrations = self.lock(Purpose::Syncing);
        }
    }

    /// Ends a wait with an epoll instance.
    #[inline]
    pub fn end_lease(&self, engines: &mut Lease<'_, Engines>) {
        if engines.end() {
            self.delete_removed(self.lock(Purpose::Syncing));
        }
    }

    /// The registrations and the number of changes, for a caller that shares the set with no thread.
    /// `None` in a child that was forked while another thread had locked them.
    #[inline]
    pub fn get_mut(&mut self) -> Option<(&mut Registrations, &mut usize)> {
        Some((self.registrations.get_mut()?, self.changes.get_mut()))
    }

    fn lock(&self, purpose: Purpose) -> Guard<'_, Registrations> {
        self.registrations.lock(purpose, |registrations| {
            registrations.reset_after_fork();
            self.changes.store(usize::MAX, Release);
        })
    }

    /// For changes of the marks, of which a fork may leave any part done.
    #[cfg(feature = "bindings")]
    pub fn lock_for_marks(&self) -> Guard<'_, Registrations> {
        self.lock(Purpose::Syncing)
    }

    #[inline]
    pub fn changes(&self) -> usize {
        self.changes.load(SeqCst)
    }

    /// Leases the engines to a wait. Another wait is refused meanwhile.
    #[inline]
    pub fn lease_engines(&self) -> io::Result<Lease<'_, Engines>> {
        let lease = self.engines.try_lease(|| self.new_engines());
        lease.ok_or_else(|| ConcurrentPoll.into())
    }

    /// For a child that was forked during a wait. They have to take all changes.
    #[cold]
    fn new_engines(&self) -> Engines {
        self.changes.store(usize::MAX, Release);
        Engines::new(self.settings)
    }

    /// Brings the engines up to date, and chooses the one that serves the wait.
    #[inline]
    pub fn prepare(&self, engines: &mut Engines) {
        if self.changes() != 0 || engines.should_create_epoll() {
            let mut registrations = self.lock(Purpose::Syncing);
            self.changes.store(0, Release);
            engines.take_changes(&mut registrations, &self.counters);
        }
        if engines.choose() {
            self.install(engines, false);
        }
        if engines.is_audit_due() {
            self.audit(engines);
        }
    }

    #[cold]
    fn audit(&self, engines: &mut Engines) {
        let outcome = engines.audit(&self.counters);
        self.finish_audit(engines, outcome);
    }

    /// Makes the checks that are due in a wait that was blocked until now.
    #[cold]
    pub fn audit_blocked(&self, engines: &mut Engines) {
        let outcome = engines.audit_blocked(&self.counters);
        self.finish_audit(engines, outcome);
    }

    fn finish_audit(&self, engines: &mut Engines, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) if engines.has_pending() => self.install(engines, true),
            Ok(()) => {}
            Err(failure) => self.fall_back(engines, failure),
        }
    }

    /// Installs the entries that the kernel's interest list lacks: all of them, or as many as pay.
    fn install(&self, engines: &mut Engines, all: bool) {
        let mut spent = 0;
        loop {
            let is_ready =
                if engines.has_exhausted_serials() { self.replace_epoll(engines) } else { Ok(()) };
            match is_ready.and_then(|()| engines.install(spent, &self.counters)) {
                Ok(nanoseconds) => spent += nanoseconds,
                Err(failure) => return self.fall_back(engines, failure),
            }
            if !engines.has_pending() || !all && !engines.reconsider(spent) {
                return;
            }
        }
    }

    /// Replaces an instance with stale entries.
    #[cold]
    pub fn replace_epoll(&self, engines: &mut Engines) -> Result<(), Failure> {
        // In a child, forked since the entries were found, the instance was discarded.
        if !engines.is_on_epoll() {
            return Ok(());
        }
        let opened = engines.open_epoll(&mut self.lock(Purpose::Syncing));
        engines.replace_epoll(opened?, &self.counters)
    }

    /// Goes on with poll(2), without an epoll instance.
    #[cold]
    pub fn fall_back(&self, engines: &mut Engines, failure: Failure) {
        self.lock(Purpose::Syncing).detach_epoll();
        engines.fall_back(failure, &self.counters);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollSet ")?;
        f.debug_map().entries(self.copy()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;
    use crate::PollSet;

    /// As in a child that was forked while another thread began a wait.
    #[test]
    fn child_takes_all_changes_that_a_thread_of_the_parent_was_taking() {
        let (_reader, writer) = io::pipe().unwrap();
        let set = PollSet::new();
        let writers: Vec<_> = (0..20).map(|_| writer.try_clone().unwrap()).collect();
        for writer in &writers {
            set.register(writer, PollFlags::empty()).unwrap();
        }
        assert_eq!(set.poll(Duration::ZERO).unwrap(), []);
        for writer in &writers {
            set.modify(writer, PollFlags::OUT).unwrap();
        }
        let shared = set.shared();
        let mut registrations = shared.lock(Purpose::Syncing);
        shared.changes.store(0, Release);
        let taken = catch_unwind(AssertUnwindSafe(|| {
            registrations.take_changes(20, |number, _| assert!(number < 7));
        }));
        assert!(taken.is_err());
        drop(registrations);
        shared.registrations.set_owner_in_parent(Purpose::Syncing);
        assert_eq!(set.len(), 20);
        assert_eq!(set.poll(Duration::ZERO).unwrap().len(), 20);
        for writer in &writers {
            set.modify(writer, PollFlags::empty()).unwrap();
        }
        assert_eq!(set.poll(Duration::ZERO).unwrap(), []);
    }
}
