#![allow(unsafe_code)]

//! Clocks, in nanoseconds.
//!
//! Not rustix's clock: it looks for the kernel's vDSO at an address where valgrind has no memory.

use std::time::Duration;

/// The monotonic clock.
pub fn now() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

/// The processor time of this thread. A system call.
pub fn thread_time() -> u64 {
    nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The monotonic clock, up to a few milliseconds late, for a sixth of the cost.
#[cfg(has_epoll)]
pub fn coarse_now() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC_COARSE)
}

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    // SAFETY: a timespec is integers only (and padding on some systems), for which zero is valid.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one timespec, which lives through the call. It has these clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32).as_nanos() as u64
}
