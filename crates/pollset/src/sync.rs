//! What [`ForkLock`](crate::lock::ForkLock) is made of. Its model has the same names with loom's
//! types.

pub use std::cell::UnsafeCell;
pub use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::Duration;

/// Waits a little before the next attempt: longer the more attempts there were.
pub fn back_off(attempt: u32) {
    match attempt {
        0..100 => std::hint::spin_loop(),
        100..120 => thread::yield_now(),
        _ => thread::sleep(Duration::from_micros(50)),
    }
}
