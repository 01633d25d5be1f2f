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

/// What the value is borrowed for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// Something that is over in no time.
    Settling = 0,
    Waiting = 1,
}

/// The value is on loan to nobody.
const HOME: u32 = 0;

fn borrower(generation: u32, purpose: Purpose) -> u32 {
    generation << 1 | purpose as u32
}

fn purpose(borrower: u32) -> Purpose {
    if borrower & 1 == Purpose::Waiting as u32 { Purpose::Waiting } else { Purpose::Settling }
}

pub struct LoanCell<T> {
    /// [`HOME`], or the generation of the process that has the value on loan, and for what.
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
    /// taken its place. An error says what it is on loan for.
    #[inline]
    pub fn lend(
        &self,
        purpose: Purpose,
        start_over: impl FnOnce() -> T,
    ) -> Result<Loan<'_, T>, Purpose> {
        let generation = process_generation();
        let us = borrower(generation, purpose);
        match self.borrower.compare_exchange(HOME, us, Acquire, Relaxed) {
            Ok(_) => Ok(Loan { cell: self, borrower: us }),
            Err(other) if other >> 1 == generation => Err(self::purpose(other)),
            Err(parent) => self.take_over(parent, us, start_over()),
        }
    }

    #[cold]
    fn take_over(&self, parent: u32, us: u32, value: T) -> Result<Loan<'_, T>, Purpose> {
        self.borrower.compare_exchange(parent, us, Acquire, Relaxed).map_err(self::purpose)?;
        // SAFETY: the cell is on loan to this thread. The parent's borrower had a reference to the
        // value; in this process that is either gone with its thread, or there is a `Loan` further
        // up this thread's stack, and then no reference: `Loan::get` gives one only until its caller
        // runs anything else, and never again after this. (A generation differs from those of all
        // ancestors. Where it is a process id, that holds unless an ancestor that has ended had the
        // same one.) The old value is leaked, half changed as it may be.
        unsafe { *self.value.get() = ManuallyDrop::new(value) };
        Ok(Loan { cell: self, borrower: us })
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
    /// As in the cell.
    borrower: u32,
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
        self.borrower >> 1 == generation || self.follow_into_child(generation)
    }

    #[cold]
    fn follow_into_child(&mut self, child: u32) -> bool {
        let ours = borrower(child, purpose(self.borrower));
        let outcome = self.cell.borrower.compare_exchange(self.borrower, ours, Acquire, Relaxed);
        if outcome.is_ok() {
            self.borrower = ours;
        }
        outcome.is_ok()
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn lend(cell: &LoanCell<i32>, purpose: Purpose) -> Result<Loan<'_, i32>, Purpose> {
        cell.lend(purpose, || panic!("it was not taken over"))
    }

    #[test]
    fn who_comes_second_is_told_what_it_is_on_loan_for() {
        let cell = LoanCell::new(1);
        for purpose in [Purpose::Waiting, Purpose::Settling] {
            let mut loan = lend(&cell, purpose).ok().unwrap();
            assert_eq!(lend(&cell, Purpose::Waiting).err(), Some(purpose));
            *loan.get().unwrap() += 1;
        }
        assert_eq!(lend(&cell, Purpose::Waiting).ok().unwrap().get(), Some(&mut 3));
    }

    #[test]
    fn nothing_is_lost_among_threads() {
        let cell = LoanCell::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let mut loan = loop {
                            match lend(&cell, Purpose::Waiting) {
                                Ok(loan) => break loan,
                                Err(_) => thread::yield_now(),
                            }
                        };
                        let before = *loan.get().unwrap();
                        thread::yield_now();
                        *loan.get().unwrap() = before + 1;
                    }
                });
            }
        });
        assert_eq!(lend(&cell, Purpose::Waiting).ok().unwrap().get(), Some(&mut 2_000));
    }

    /// As in a child, for which the borrower's generation is that of its parent.
    fn on_loan_to_parent(cell: &LoanCell<i32>) -> Loan<'_, i32> {
        let parent = borrower(process_generation() + 1, Purpose::Waiting);
        cell.borrower.store(parent, Relaxed);
        Loan { cell, borrower: parent }
    }

    #[test]
    fn a_child_starts_over_and_the_old_loan_is_void() {
        let cell = LoanCell::new(1);
        let mut old = on_loan_to_parent(&cell);
        let mut new = cell.lend(Purpose::Waiting, || 2).ok().unwrap();
        assert_eq!(old.get(), None);
        drop(old);
        assert_eq!(new.get(), Some(&mut 2));
        assert_eq!(lend(&cell, Purpose::Waiting).err(), Some(Purpose::Waiting));
    }

    #[test]
    fn a_loan_goes_on_in_a_child_where_nobody_has_started_over() {
        let cell = LoanCell::new(1);
        let mut old = on_loan_to_parent(&cell);
        assert_eq!(old.get(), Some(&mut 1));
        assert_eq!(lend(&cell, Purpose::Waiting).err(), Some(Purpose::Waiting));
        drop(old);
        assert_eq!(lend(&cell, Purpose::Waiting).ok().unwrap().get(), Some(&mut 1));
    }
}
