//! As the module of this name in the library, with loom's types.

use std::cell::Cell;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Release, SeqCst};

use loom::cell;
use loom::sync::atomic::{self, fence};

loom::thread_local! {
    /// This thread has made a sequentially consistent store, and no such load since.
    static HAS_STORED: Cell<bool> = Cell::new(false);
}

/// loom takes sequentially consistent accesses for weaker ones, but knows fences. So there is one
/// between a sequentially consistent store and the next such load of the thread, and none if either is
/// of another order.
pub struct AtomicU32(atomic::AtomicU32);

impl AtomicU32 {
    pub fn new(value: u32) -> Self {
        Self(atomic::AtomicU32::new(value))
    }

    pub fn load(&self, order: Ordering) -> u32 {
        if order != SeqCst {
            return self.0.load(order);
        }
        HAS_STORED.with(|has_stored| {
            if has_stored.replace(false) {
                fence(SeqCst);
            }
        });
        self.0.load(Acquire)
    }

    pub fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, if order == SeqCst { Release } else { order });
        record_store(order);
    }

    pub fn swap(&self, value: u32, order: Ordering) -> u32 {
        let old = self.0.swap(value, if order == SeqCst { AcqRel } else { order });
        record_store(order);
        old
    }

    pub fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        let [loom_success, loom_failure] = [(success, AcqRel), (failure, Acquire)]
            .map(|(order, weaker)| if order == SeqCst { weaker } else { order });
        let outcome = self.0.compare_exchange(current, new, loom_success, loom_failure);
        if outcome.is_ok() {
            record_store(success);
        }
        outcome
    }
}

fn record_store(order: Ordering) {
    if order == SeqCst {
        HAS_STORED.with(|has_stored| has_stored.set(true));
    }
}

pub struct UnsafeCell<T>(cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }

    /// Every call counts as a write at this time.
    pub fn get(&self) -> *mut T {
        self.0.with_mut(|value| value)
    }
}

/// Lets another thread run. loom explores no more orders of a run in which a thread waits for long:
/// there are orders without end in which two waiting threads take turns, and the owner never runs.
pub fn back_off(attempt: u32) {
    if attempt >= EXPLORED_ATTEMPTS {
        loom::skip_branch();
    }
    loom::thread::yield_now();
}

const EXPLORED_ATTEMPTS: u32 = 1;
