#![allow(unsafe_code)]

//! A cell whose value is lent out, to one borrower at a time.
//!
//! No lock is held meanwhile, and whoever comes second is told so at once. After a fork, a value
//! that another thread of the parent had on loan may be half changed, and that thread doesn't exist
//! in the child: the child starts over with a new one.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::sys::process_generation;

/// The value is on loan to nobody.
const HOME: u32 = 0;

pub struct LoanCell<T> {
    /// [`HOME`], or the generation of the process that has the value on loan.
    borrower: AtomicU32,
    value: UnsafeCell<ManuallyDrop<T>>,
}

// SAFETY: a shared cell gives `&mut T` to one thread at a time, the one that changed `borrower` away
// from HOME; `T: Send` allows that.
unsafe impl<T: Send> Sync for LoanCell<T> {}

impl<T> LoanCell<T> {
    pub const fn new(value: T) -> Self {
        Self { borrower: AtomicU32::new(HOME), value: UnsafeCell::new(ManuallyDrop::new(value)) }
    }

    /// Lends the value until the loan is dropped; after a fork, one that `start_over` makes may have
    /// taken its place. `None`: it is on loan to someone else.
    #[inline]
    pub fn lend(&self, start_over: impl FnOnce() -> T) -> Option<Loan<'_, T>> {
        let generation = process_generation();
        match self.borrower.compare_exchange(HOME, generation, Acquire, Relaxed) {
            Ok(_) => Some(Loan { cell: self, generation }),
            Err(other) if other == generation => None,
            Err(parent) => self.take_over(parent, generation, start_over),
        }
    }

    #[cold]
    fn take_over(
        &self,
        parent: u32,
        generation: u32,
        start_over: impl FnOnce() -> T,
    ) -> Option<Loan<'_, T>> {
        self.borrower.compare_exchange(parent, generation, Acquire, Relaxed).ok()?;
        let loan = Loan { cell: self, generation };
        // SAFETY: the cell is on loan to this thread. The parent's borrower had a reference to the
        // value; in this process that is either gone with its thread, or a `Loan` further up this
        // thread's stack, and then no reference: `Loan::get` gives one only until its caller runs
        // anything else, and never again after this. The old value is leaked, half changed as it
        // may be.
        unsafe { *self.value.get() = ManuallyDrop::new(start_over()) };
        Some(loan)
    }
}

impl<T> Drop for LoanCell<T> {
    fn drop(&mut self) {
        if *self.borrower.get_mut() == HOME {
            // SAFETY: HOME means that the value is whole, and `&mut self` that nobody else can
            // reach it; it is not used after this.
            unsafe { ManuallyDrop::drop(self.value.get_mut()) }
        }
    }
}

/// Brings the value home when dropped, after a panic, too.
pub struct Loan<'a, T> {
    cell: &'a LoanCell<T>,
    generation: u32,
}

impl<T> Loan<'_, T> {
    /// The value. `None` in a child that this very thread has forked meanwhile, if someone has
    /// started over there.
    #[inline]
    pub fn get(&mut self) -> Option<&mut T> {
        if !self.is_ours() {
            return None;
        }
        // SAFETY: the value is on loan to this loan in this process, which lives longer than the
        // reference; and `&mut self` makes this the only reference from it.
        Some(unsafe { &mut *self.cell.value.get() })
    }

    /// In a child that this thread has forked meanwhile, the loan goes on if nobody has started
    /// over.
    #[inline]
    fn is_ours(&mut self) -> bool {
        let generation = process_generation();
        self.generation == generation || self.follow_into_child(generation)
    }

    #[cold]
    fn follow_into_child(&mut self, child: u32) -> bool {
        let followed =
            self.cell.borrower.compare_exchange(self.generation, child, Acquire, Relaxed);
        if followed.is_ok() {
            self.generation = child;
        }
        followed.is_ok()
    }
}

impl<T> Drop for Loan<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.is_ours() {
            self.cell.borrower.store(HOME, Release);
        }
    }
}
