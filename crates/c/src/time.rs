//! The `struct timespec` of C.
//!
//! A 32-bit system may have two: with a `time_t` of 32 bits, and with one of 64 bits, as glibc's programs
//! choose with `_TIME_BITS`, and all programs of musl 1.2 have it.

use std::time::Duration;

use libc::c_int;
use pollset::Timeout;

#[cfg(not(all(has_time64, target_env = "musl")))]
pub use libc::timespec;

#[cfg(all(has_time64, target_env = "musl"))]
pub use self::timespec64 as timespec;

/// With a `time_t` of 64 bits.
#[cfg(has_time64)]
#[repr(C)]
pub struct timespec64 {
    pub tv_sec: i64,
    #[cfg(target_endian = "big")]
    _padding: u32,
    pub tv_nsec: i32,
    #[cfg(target_endian = "little")]
    _padding: u32,
}

/// A timeout in seconds and nanoseconds.
pub fn timeout(timeout: Option<(i64, i64)>) -> Result<Timeout, c_int> {
    let Some((seconds, nanoseconds)) = timeout else { return Ok(Timeout::Never) };
    match (u64::try_from(seconds), u32::try_from(nanoseconds)) {
        (Ok(seconds), Ok(nanoseconds @ 0..1_000_000_000)) => {
            Ok(Timeout::After(Duration::new(seconds, nanoseconds)))
        }
        _ => Err(libc::EINVAL),
    }
}
