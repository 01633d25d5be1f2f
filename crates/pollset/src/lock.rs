#![allow(unsafe_code)]

//! A lock for short sections, which a forked child does not inherit.
//!
//! Taking and releasing it is one atomic operation, against the two of `std::sync::Mutex` (8 ns
//! each): a new set that is asked once and dropped pays for several. In return, whoever finds it
//! held can't be woken; it looks again, soon at first, then after yielding, at last after
//! sleeping, so that the holder gets to run whatever their priorities are.
//!
//! A child may be forked while another thread holds the lock, and that thread doesn't exist in the
//! child. What it was doing decides what is left: nothing has changed, or only what can be made
//! anew, and then the child takes the lock over. Only if it was [`Changing`](Use::Changing) the
//! value is the lock lost, like every other lock in such a child.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

use crate::sys::process_generation;

pub struct Lock<T> {
    /// [`FREE`], or the generation of the process of the holder and what it does.
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

/// What the lock is taken for.
#[derive(Clone, Copy, PartialEq)]
pub enum Use {
    /// Nothing is changed.
    Reading = 1,
    /// What is changed can be made anew.
    Taking = 2,
    Changing = 3,
}

const FREE: u32 = 0;
const USE_BITS: u32 = 2;

fn holder(generation: u32, purpose: Use) -> u32 {
    generation << USE_BITS | purpose as u32
}

// SAFETY: a shared lock gives `&mut T` to one thread at a time, for which `T: Send` is enough.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub const fn new(value: T) -> Self {
        Self { holder: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Takes the lock. If it is taken over from the process that this one was forked from,
    /// `recover` makes anew what its holder may have left half done.
    #[inline]
    pub fn lock(&self, purpose: Use, recover: impl FnOnce(&mut T)) -> Guard<'_, T> {
        let holder = holder(process_generation(), purpose);
        if self.holder.compare_exchange(FREE, holder, Acquire, Relaxed).is_err()
            && self.lock_contended(holder) == Left::HalfDone
        {
            let mut guard = Guard { lock: self, not_shared: PhantomData };
            recover(&mut guard);
            return guard;
        }
        Guard { lock: self, not_shared: PhantomData }
    }

    /// `None`: the process was forked while another thread held it, which doesn't exist here.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        (*self.holder.get_mut() == FREE).then(|| self.value.get_mut())
    }

    #[cold]
    fn lock_contended(&self, holder: u32) -> Left {
        let mut attempts = 0u32;
        loop {
            let other = self.holder.load(Relaxed);
            let is_gone = other != FREE && other >> USE_BITS != holder >> USE_BITS;
            let is_lost = other & Use::Changing as u32 == Use::Changing as u32;
            if (other == FREE || is_gone && !is_lost)
                && self.holder.compare_exchange(other, holder, Acquire, Relaxed).is_ok()
            {
                return if is_gone { Left::HalfDone } else { Left::Whole };
            }
            match attempts {
                0..100 => std::hint::spin_loop(),
                100..120 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(50)),
            }
            attempts = attempts.saturating_add(1);
        }
    }
}

#[cfg(test)]
impl<T> Lock<T> {
    /// As in a child, for which the holder's generation is that of its parent.
    pub fn hold_as_parent(&self, purpose: Use) {
        self.holder.store(holder(process_generation() + 1, purpose), Relaxed);
    }
}

/// How the last holder has left the value.
#[derive(PartialEq)]
enum Left {
    Whole,
    HalfDone,
}

pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
    /// Neither `Send` nor `Sync`.
    not_shared: PhantomData<*mut T>,
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.holder.store(FREE, Release);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, from the exchange that succeeded until its drop, and
        // it stays on its thread.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`; and `&mut self` makes this the only reference from it.
        unsafe { &mut *self.lock.value.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change<T>(lock: &Lock<T>) -> Guard<'_, T> {
        lock.lock(Use::Changing, |_| panic!("it was not taken over"))
    }

    #[test]
    fn nothing_is_lost_under_contention() {
        let count = Lock::new(0);
        thread::scope(|scope| {
            for purpose in [Use::Reading, Use::Taking, Use::Changing, Use::Changing] {
                let count = &count;
                scope.spawn(move || {
                    for _ in 0..1_000 {
                        let mut count = count.lock(purpose, |_| panic!("it was not taken over"));
                        let before = *count;
                        thread::yield_now();
                        *count = before + 1;
                    }
                });
            }
        });
        assert_eq!(*change(&count), 4_000);
    }

    #[test]
    fn a_section_that_panics_releases_it() {
        let lock = Lock::new(0);
        let section = std::panic::AssertUnwindSafe(|| {
            *change(&lock) = 1;
            panic!("in the section")
        });
        assert!(std::panic::catch_unwind(section).is_err());
        assert_eq!(*change(&lock), 1);
    }

    #[test]
    fn who_waits_long_gets_it_in_the_end() {
        let lock = Lock::new(());
        let held = change(&lock);
        thread::scope(|scope| {
            scope.spawn(|| drop(change(&lock)));
            thread::sleep(Duration::from_millis(20));
            drop(held);
        });
    }

    fn held_by_parent(purpose: Use) -> Lock<i32> {
        let lock = Lock::new(0);
        lock.hold_as_parent(purpose);
        lock
    }

    #[test]
    fn who_owns_it_needs_no_lock_unless_it_is_held_for_ever() {
        assert_eq!(Lock::new(1).get_mut(), Some(&mut 1));
        for purpose in [Use::Reading, Use::Taking, Use::Changing] {
            assert_eq!(held_by_parent(purpose).get_mut(), None);
        }
    }

    #[test]
    fn a_child_takes_it_over_and_recovers() {
        for purpose in [Use::Reading, Use::Taking] {
            let lock = held_by_parent(purpose);
            assert_eq!(*lock.lock(Use::Changing, |value| *value = 7), 7);
            assert_eq!(*change(&lock), 7);
        }
    }

    #[test]
    fn one_held_by_who_was_changing_the_value_is_not_taken_over() {
        let lock = held_by_parent(Use::Changing);
        let (mut before, after) = (true, AtomicU32::new(0));
        thread::scope(|scope| {
            for purpose in [Use::Reading, Use::Taking, Use::Changing] {
                let (lock, after) = (&lock, &after);
                scope.spawn(move || {
                    drop(lock.lock(purpose, |_| panic!("it was not taken over")));
                    after.fetch_add(1, Relaxed);
                });
            }
            thread::sleep(Duration::from_millis(20));
            before = after.load(Relaxed) > 0;
            lock.holder.store(FREE, Release);
        });
        assert_eq!((before, after.into_inner()), (false, 3));
    }
}
