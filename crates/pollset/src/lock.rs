#![allow(unsafe_code)]

//! A lock that a forked child does not inherit.
//!
//! It holds a value for one thread at a time, in two ways:
//!
//! - [`lock`](ForkLock::lock) waits, and is for short sections. It needs one atomic
//!   read-modify-write operation; `std::sync::Mutex` needs two, of 8 ns each. A new set that polls
//!   once and is dropped takes it several times. In return there is no wait queue: a thread that
//!   finds it held spins, then yields, then sleeps, so that the owner runs whatever their
//!   priorities are.
//! - [`try_lease`](ForkLock::try_lease) doesn't wait, and is for sections that may block or run a
//!   caller's code. Another thread can leave work to the end of the lease
//!   ([`notify_lease`](ForkLock::notify_lease)).
//!
//! A child may be forked while another thread of the parent owns the lock. That thread doesn't exist
//! in the child. The lock records the owner's process and purpose, and so the child can take it
//! over:
//!
//! - from a thread that was reading, or [`Syncing`](Purpose::Syncing), after a function of the caller
//!   has repaired the value;
//! - from a lease, with a new value; the old one, which may be half changed, is leaked.
//!
//! If the owner was [`Changing`](Purpose::Changing) the value, the lock stays held, as every other
//! lock does in such a child: the child waits for it forever.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use crate::sync::{AtomicU32, UnsafeCell, back_off};
use crate::sys::process_generation;

pub struct ForkLock<T> {
    /// [`FREE`], or the generation of the owner's process, the purpose, and [`NOTIFIED`] or not.
    owner: AtomicU32,
    value: UnsafeCell<ManuallyDrop<T>>,
}

/// What a thread owns the lock for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// To read the value.
    Reading = 0,
    /// To change what can be repaired: see [`ForkLock::lock`].
    Syncing = 1,
    /// To change the value.
    Changing = 2,
    Leasing = 3,
}

const FREE: u32 = 0;
const PURPOSE: u32 = 0b011;
/// The lease has work to do when it ends.
const NOTIFIED: u32 = 0b100;
const GENERATION_SHIFT: u32 = 3;

/// Generations are not 0.
fn owner(generation: u32, purpose: Purpose) -> u32 {
    generation << GENERATION_SHIFT | purpose as u32
}

fn has_purpose(owner: u32, purpose: Purpose) -> bool {
    owner & PURPOSE == purpose as u32
}

fn are_of_one_process(owner: u32, other: u32) -> bool {
    owner >> GENERATION_SHIFT == other >> GENERATION_SHIFT
}

// SAFETY: a shared lock gives `&mut T` to one thread at a time: the one that has changed `owner`
// from FREE, or taken it over from a thread that doesn't exist in this process. For that, `T: Send`
// is enough.
unsafe impl<T: Send> Sync for ForkLock<T> {}

impl<T> ForkLock<T> {
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self { owner: AtomicU32::new(FREE), value: UnsafeCell::new(ManuallyDrop::new(value)) }
    }

    /// The constructors of loom's types are not `const`.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self { owner: AtomicU32::new(FREE), value: UnsafeCell::new(ManuallyDrop::new(value)) }
    }

    /// Takes the lock, after waiting for it. If it is taken over from a process that this one was
    /// forked from, `repair` restores what the owner may have left half changed.
    ///
    /// A thread that owns it must not take it again, nor fork.
    #[inline]
    pub fn lock(&self, purpose: Purpose, repair: impl FnOnce(&mut T)) -> Guard<'_, T> {
        let new = owner(process_generation(), purpose);
        let is_taken_over = self.owner.compare_exchange(FREE, new, Acquire, Relaxed).is_err()
            && self.lock_contended(new) != FREE;
        let mut guard = Guard { lock: self, not_send: PhantomData };
        if is_taken_over {
            repair(&mut guard);
        }
        guard
    }

    /// Returns the previous owner.
    #[cold]
    fn lock_contended(&self, new: u32) -> u32 {
        let mut attempt = 0u32;
        loop {
            let other = self.owner.load(Relaxed);
            let must_wait = other != FREE
                && (are_of_one_process(other, new) || has_purpose(other, Purpose::Changing));
            if !must_wait && self.owner.compare_exchange(other, new, Acquire, Relaxed).is_ok() {
                return other;
            }
            back_off(attempt);
            attempt = attempt.saturating_add(1);
        }
    }

    /// Takes the lock until the lease is dropped. `None`: another lease of this process has it.
    ///
    /// If the lock is taken over from a process that this one was forked from, `reset` makes a new
    /// value. All owners of the same lock must be leases.
    #[inline(always)] // in each wait
    pub fn try_lease(&self, reset: impl FnOnce() -> T) -> Option<Lease<'_, T>> {
        let new = owner(process_generation(), Purpose::Leasing);
        // SeqCst: see `notify_lease`.
        match self.owner.compare_exchange(FREE, new, SeqCst, Relaxed) {
            Ok(_) => Some(Lease { lock: self, owner: new }),
            Err(other) if are_of_one_process(other, new) => None,
            Err(other) => self.take_over_lease(other, new, reset()),
        }
    }

    /// Has the lease of this process do some work at its end: [`Lease::end`] returns true then. False:
    /// there is no lease.
    ///
    /// If it returns false, the holder of a lease that is taken later sees what the caller has stored
    /// before, if both accesses are `SeqCst`.
    pub fn notify_lease(&self) -> bool {
        let lease = owner(process_generation(), Purpose::Leasing);
        let mut other = self.owner.load(SeqCst);
        while are_of_one_process(other, lease) {
            match self.owner.compare_exchange(other, lease | NOTIFIED, SeqCst, SeqCst) {
                Ok(_) => return true,
                Err(changed) => other = changed,
            }
        }
        false
    }

    #[cold]
    fn take_over_lease(&self, other: u32, new: u32, value: T) -> Option<Lease<'_, T>> {
        self.owner.compare_exchange(other, new, Acquire, Relaxed).ok()?;
        // SAFETY: this thread owns the lock, and no other reference to the value is in use:
        // - if another thread of the parent owned the lock, its reference has gone with that thread;
        // - if there is a `Lease` further up this thread's stack, its `get` has given references only
        //   until its caller ran other code, and gives none after this.
        // (A generation differs from those of all ancestors. Where it is a process id, that holds
        // unless an ancestor that has ended had the same one.) The old value is leaked.
        unsafe { *self.value.get() = ManuallyDrop::new(value) };
        Some(Lease { lock: self, owner: new })
    }

    /// The value, for a caller that shares the lock with no thread. `None` if another thread of the
    /// parent owned the lock when this process was forked.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: the lock is FREE, so the value is whole, and `&mut self` makes this the only
        // reference to it.
        (self.owner.load(Relaxed) == FREE).then(|| unsafe { &mut **self.value.get() })
    }
}

impl<T> Drop for ForkLock<T> {
    fn drop(&mut self) {
        if self.owner.load(Relaxed) == FREE {
            // SAFETY: the lock is FREE, so the value is whole; `&mut self` excludes other
            // references; the value is not used after this.
            unsafe { ManuallyDrop::drop(&mut *self.value.get()) }
        }
    }
}

/// Owns the lock on the thread that has taken it.
pub struct Guard<'a, T> {
    lock: &'a ForkLock<T>,
    not_send: PhantomData<*mut T>,
}

impl<T> Guard<'_, T> {
    /// Changes the purpose for which the thread owns the lock.
    pub fn set_purpose(&mut self, purpose: Purpose) {
        self.lock.owner.store(owner(process_generation(), purpose), Release);
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.owner.store(FREE, Release);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard owns the lock and stays on its thread, which doesn't fork meanwhile.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; and `&mut self` makes this the only reference from the guard.
        unsafe { &mut *self.lock.value.get() }
    }
}

/// Owns the lock until it is dropped, on any thread, also after a panic and in a forked child.
pub struct Lease<'a, T> {
    lock: &'a ForkLock<T>,
    /// As in the lock, without [`NOTIFIED`]. [`FREE`]: the lease has ended.
    owner: u32,
}

impl<T> Lease<'_, T> {
    /// Ends the lease, as dropping it does. Returns whether another thread has left work to its end;
    /// that costs one more atomic operation.
    #[inline]
    pub fn end(&mut self) -> bool {
        if !self.is_owner() {
            return false;
        }
        self.owner = FREE;
        self.lock.owner.swap(FREE, AcqRel) & NOTIFIED != 0
    }

    /// The value. `None`: the lease has ended; or this thread has forked since, and in this child
    /// another lease has taken the lock over.
    ///
    /// The caller must not run other code while it uses the reference: code that forks, and takes
    /// the lock over in the child, would get a second one.
    #[inline]
    pub fn get(&mut self) -> Option<&mut T> {
        if !self.is_owner() {
            return None;
        }
        // SAFETY: this lease owns the lock in this process, and lives longer than the reference;
        // `&mut self` makes it the only reference from the lease.
        Some(unsafe { &mut **self.lock.value.get() })
    }

    #[inline]
    fn is_owner(&mut self) -> bool {
        let us = owner(process_generation(), Purpose::Leasing);
        self.owner == us || self.follow_into_child(us)
    }

    /// In a forked child the lease stays valid unless another one has taken the lock over.
    #[cold]
    fn follow_into_child(&mut self, us: u32) -> bool {
        if self.owner == FREE {
            return false;
        }
        let is_valid = [self.owner, self.owner | NOTIFIED]
            .into_iter()
            .any(|parent| self.lock.owner.compare_exchange(parent, us, Acquire, Relaxed).is_ok());
        if is_valid {
            self.owner = us;
        }
        is_valid
    }
}

impl<T> Drop for Lease<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.owner != FREE && self.is_owner() {
            self.lock.owner.store(FREE, Release);
        }
    }
}

#[cfg(all(test, not(loom)))]
impl<T> ForkLock<T> {
    /// Makes another thread of the parent process the owner, as in a forked child.
    pub fn set_owner_in_parent(&self, purpose: Purpose) -> u32 {
        let parent = owner(process_generation() + 1, purpose);
        self.owner.store(parent, Relaxed);
        parent
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn change<T>(lock: &ForkLock<T>) -> Guard<'_, T> {
        lock.lock(Purpose::Changing, |_| panic!("it was not taken over"))
    }

    fn lease<T>(lock: &ForkLock<T>) -> Option<Lease<'_, T>> {
        lock.try_lease(|| panic!("it was not taken over"))
    }

    /// A value that two threads never have at once.
    struct Exclusive {
        users: AtomicUsize,
        uses: usize,
    }

    impl Exclusive {
        fn new() -> Self {
            Self { users: AtomicUsize::new(0), uses: 0 }
        }

        fn use_it(&mut self) {
            assert_eq!(self.users.fetch_add(1, Relaxed), 0);
            thread::yield_now();
            self.uses += 1;
            assert_eq!(self.users.fetch_sub(1, Relaxed), 1);
        }
    }

    #[test]
    fn one_guard_exists_at_a_time() {
        let lock = ForkLock::new(Exclusive::new());
        thread::scope(|scope| {
            for purpose in [Purpose::Reading, Purpose::Syncing, Purpose::Changing] {
                let lock = &lock;
                scope.spawn(move || {
                    for _ in 0..1_000 {
                        lock.lock(purpose, |_| panic!("it was not taken over")).use_it();
                    }
                });
            }
        });
        assert_eq!(change(&lock).uses, 3_000);
    }

    #[test]
    fn one_lease_exists_at_a_time() {
        let lock = ForkLock::new(Exclusive::new());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let mut lease = loop {
                            match lease(&lock) {
                                Some(lease) => break lease,
                                None => thread::yield_now(),
                            }
                        };
                        lease.get().unwrap().use_it();
                    }
                });
            }
        });
        assert_eq!(lease(&lock).unwrap().get().unwrap().uses, 2_000);
    }

    #[test]
    fn second_lease_is_refused() {
        let lock = ForkLock::new(0);
        let first = lease(&lock);
        assert!(lease(&lock).is_none());
        drop(first);
        assert!(lease(&lock).is_some());
    }

    #[test]
    fn guard_changes_its_purpose() {
        let lock = ForkLock::new(0);
        let mut guard = change(&lock);
        guard.set_purpose(Purpose::Syncing);
        let owner = lock.owner.load(Relaxed);
        assert!(has_purpose(owner, Purpose::Syncing));
        drop(guard);
        assert_eq!(lock.owner.load(Relaxed), FREE);
    }

    #[test]
    fn lease_that_was_notified_reports_it_at_its_end() {
        let lock = ForkLock::new(0);
        assert!(!lock.notify_lease(), "there is no lease");
        for is_notified in [false, true, false] {
            let mut first = lease(&lock).unwrap();
            if is_notified {
                assert!(lock.notify_lease());
            }
            assert!(lease(&lock).is_none());
            assert_eq!(first.get(), Some(&mut 0));
            assert_eq!(first.end(), is_notified);
            assert_eq!(first.get(), None);
            let mut second = lease(&lock).unwrap();
            drop(first);
            assert!(second.get().is_some());
        }
        assert!(!lock.notify_lease());
    }

    #[test]
    fn panic_releases_the_lock() {
        let lock = ForkLock::new(0);
        let section = AssertUnwindSafe(|| {
            *change(&lock) = 1;
            panic!("in the section")
        });
        assert!(catch_unwind(section).is_err());
        assert_eq!(*change(&lock), 1);
    }

    #[test]
    fn thread_that_waits_long_gets_the_lock() {
        let lock = ForkLock::new(());
        let guard = change(&lock);
        thread::scope(|scope| {
            scope.spawn(|| drop(change(&lock)));
            thread::sleep(Duration::from_millis(20));
            drop(guard);
        });
    }

    fn owned_by_parent(purpose: Purpose) -> ForkLock<i32> {
        let lock = ForkLock::new(0);
        lock.set_owner_in_parent(purpose);
        lock
    }

    #[test]
    fn get_mut_needs_a_free_lock() {
        assert_eq!(ForkLock::new(1).get_mut(), Some(&mut 1));
        for purpose in [Purpose::Reading, Purpose::Syncing, Purpose::Changing] {
            assert_eq!(owned_by_parent(purpose).get_mut(), None);
        }
    }

    #[test]
    fn child_takes_over_and_repairs() {
        for purpose in [Purpose::Reading, Purpose::Syncing] {
            let lock = owned_by_parent(purpose);
            assert_eq!(*lock.lock(Purpose::Changing, |value| *value = 7), 7);
            assert_eq!(*change(&lock), 7);
        }
    }

    #[test]
    fn child_waits_for_an_owner_that_was_changing_the_value() {
        let lock = owned_by_parent(Purpose::Changing);
        let (mut before, after) = (true, AtomicUsize::new(0));
        thread::scope(|scope| {
            for purpose in [Purpose::Reading, Purpose::Syncing, Purpose::Changing] {
                let (lock, after) = (&lock, &after);
                scope.spawn(move || {
                    drop(lock.lock(purpose, |_| panic!("it was not taken over")));
                    after.fetch_add(1, Relaxed);
                });
            }
            thread::sleep(Duration::from_millis(20));
            before = after.load(Relaxed) > 0;
            lock.owner.store(FREE, Release);
        });
        assert_eq!((before, after.into_inner()), (false, 3));
    }

    fn leased_to_parent(lock: &ForkLock<i32>) -> Lease<'_, i32> {
        let owner = lock.set_owner_in_parent(Purpose::Leasing);
        Lease { lock, owner }
    }

    #[test]
    fn lease_that_a_child_takes_over_voids_the_old_one() {
        let lock = ForkLock::new(1);
        let mut old = leased_to_parent(&lock);
        let mut new = lock.try_lease(|| 2).unwrap();
        assert_eq!(old.get(), None);
        drop(old);
        assert_eq!(new.get(), Some(&mut 2));
        assert!(lease(&lock).is_none());
    }

    #[test]
    fn lease_stays_valid_in_a_child_that_takes_no_other() {
        for is_notified in [false, true] {
            lease_stays_valid_in_a_child(is_notified);
        }
    }

    fn lease_stays_valid_in_a_child(is_notified: bool) {
        let lock = ForkLock::new(1);
        let mut old = leased_to_parent(&lock);
        if is_notified {
            lock.owner.store(old.owner | NOTIFIED, Relaxed);
        }
        assert_eq!(old.get(), Some(&mut 1));
        assert!(lease(&lock).is_none());
        drop(old);
        assert_eq!(lease(&lock).unwrap().get(), Some(&mut 1));
    }
}
