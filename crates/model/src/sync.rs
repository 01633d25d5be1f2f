//! As the module of this name in the library, with loom's types.

use loom::cell;
pub use loom::sync::atomic::AtomicU32;

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
