#![allow(unsafe_code)]

//! A cell whose value is lent out, to one borrower at a time.
//!
//! The borrower has the value itself, not a reference, for as long as it likes; no lock is held
//! meanwhile, and whoever comes second is told so at once. After a fork, a value that another
//! thread of the parent had on loan is out of the child's reach, and that thread doesn't exist
//! there: the child starts over with a new one.

use std::cell::UnsafeCell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::sys::process_generation;

/// The value is in the cell.
const HOME: u32 = 0;

pub struct LoanCell<T> {
    /// [`HOME`], or the generation of the process that has the value on loan.
    borrower: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: all that a shared cell does with its value is to move it to the one thread that changed
// `borrower` away from HOME, and back; `T: Send` allows that.
unsafe impl<T: Send> Sync for LoanCell<T> {}

impl<T> LoanCell<T> {
    pub const fn new(value: T) -> Self {
        Self { borrower: AtomicU32::new(HOME), value: UnsafeCell::new(MaybeUninit::new(value)) }
    }

    /// Takes the value out while `work` runs; after a fork, one that `start_over` makes may take its
    /// place. `None`: it is on loan to someone else.
    #[inline]
    pub fn lend<R>(
        &self,
        start_over: impl FnOnce() -> T,
        work: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let generation = process_generation();
        let mut loan = match self.borrower.compare_exchange(HOME, generation, Acquire, Acquire) {
            Ok(_) => {
                // SAFETY: the value was HOME, so it is initialised, and this thread is the only
                // one that has changed `borrower`; so it is moved out once, and Acquire makes
                // visible what the last borrower wrote.
                let value = unsafe { (*self.value.get()).assume_init_read() };
                Loan { cell: self, generation, value: ManuallyDrop::new(value) }
            }
            Err(other) if other != generation => {
                self.borrower.compare_exchange(other, generation, Acquire, Relaxed).ok()?;
                Loan { cell: self, generation, value: ManuallyDrop::new(start_over()) }
            }
            Err(_) => return None,
        };
        Some(work(&mut loan.value))
    }
}

impl<T> Drop for LoanCell<T> {
    fn drop(&mut self) {
        if *self.borrower.get_mut() == HOME {
            // SAFETY: HOME means that the value is in the cell, initialised, and `&mut self`
            // that nobody else can reach it.
            unsafe { self.value.get_mut().assume_init_drop() }
        }
    }
}

/// Brings the value home when dropped, after a panic, too.
struct Loan<'a, T> {
    cell: &'a LoanCell<T>,
    generation: u32,
    value: ManuallyDrop<T>,
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the value is not used after this.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        let cell = self.cell;
        // In a child that this very thread forked meanwhile, someone may have started over. The
        // cell is this loan's only if nobody has.
        let generation = process_generation();
        let still_ours = self.generation == generation
            || cell
                .borrower
                .compare_exchange(self.generation, generation, Acquire, Relaxed)
                .is_ok();
        if still_ours {
            // SAFETY: the cell is on loan to this loan, so its memory holds no value, and nobody
            // else touches it until `borrower` is HOME again.
            unsafe { (*cell.value.get()).write(value) };
            cell.borrower.store(HOME, Release);
        }
    }
}
