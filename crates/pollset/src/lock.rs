#![allow(unsafe_code)]

//! A lock for sections of a few nanoseconds.
//!
//! Taking and releasing it is one atomic operation; those of `std::sync::Mutex` are two, 8 ns each,
//! and a new set that is asked once and dropped pays for several. In return, whoever finds it held
//! can't be woken: it looks again, soon at first, then after yielding, at last after sleeping, so
//! that the holder gets to run whatever their priorities are.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

pub struct Lock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: a shared lock gives `&mut T` to one thread at a time, for which `T: Send` is enough.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub const fn new(value: T) -> Self {
        Self {
            held: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        if self.held.swap(true, Acquire) {
            self.lock_contended();
        }
        Guard { lock: self }
    }

    #[cold]
    fn lock_contended(&self) {
        let mut attempts = 0u32;
        while self.held.load(Relaxed) || self.held.swap(true, Acquire) {
            match attempts {
                0..100 => std::hint::spin_loop(),
                100..120 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(50)),
            }
            attempts = attempts.saturating_add(1);
        }
    }
}

pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.held.store(false, Release);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, from the swap that returned false until its drop.
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

    #[test]
    fn nothing_is_lost_under_contention() {
        let count = Lock::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100_000).for_each(|_| *count.lock() += 1));
            }
        });
        assert_eq!(*count.lock(), 400_000);
    }

    #[test]
    fn a_section_that_panics_releases_it() {
        let lock = Lock::new(0);
        let section = std::panic::AssertUnwindSafe(|| {
            *lock.lock() = 1;
            panic!("in the section")
        });
        assert!(std::panic::catch_unwind(section).is_err());
        assert_eq!(*lock.lock(), 1);
    }

    #[test]
    fn who_waits_long_gets_it_in_the_end() {
        let lock = Lock::new(());
        let held = lock.lock();
        thread::scope(|scope| {
            scope.spawn(|| drop(lock.lock()));
            thread::sleep(Duration::from_millis(20));
            drop(held);
        });
    }
}
