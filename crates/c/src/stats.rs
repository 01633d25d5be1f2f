//! Statistics and version.

#![allow(unsafe_code)]

use std::ffi::c_char;
use std::mem::size_of;
use std::ptr;

use libc::c_int;
use pollset::Engine;

use crate::call::call;
use crate::set::{POLLSET_EPOLL, POLLSET_POLL, pollset_t};

/// The counters of a polling object, from its creation on.
///
/// Later versions may add members at the end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct pollset_stats_t {
    /// Waits on poll(2).
    pub poll_waits: u64,
    /// Waits on epoll(7).
    pub epoll_waits: u64,
    /// Descriptors that were added to epoll or modified there, or were left to poll(2) because epoll may not
    /// report their kind of file correctly.
    pub changes_applied: u64,
    /// Checks whether the number of a descriptor on epoll still refers to the same file.
    pub audited: u64,
    /// Descriptors on epoll whose events were compared with those of poll(2).
    pub compared: u64,
    /// epoll instances that were replaced.
    pub replaced: u64,
    /// Failures to create, fill or use an epoll instance.
    pub refused: u64,
    /// What the last wait was on: `POLLSET_POLL` or `POLLSET_EPOLL`; 0 before the first one.
    pub last_engine: u64,
}

/// Copies the counters of a polling object to `stats`, which has `size` bytes.
///
/// `size` is `sizeof(pollset_stats_t)`. So a program that was compiled with an older header gets the
/// members that it knows; members that the library doesn't know are 0.
///
/// # Return value
///
/// 0; or -1, with `errno` set.
///
/// # Errors
///
/// - `EFAULT`: `stats` is NULL.
///
/// # Attributes
///
/// - Threads: any thread may call it at any time, also during a wait.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child reads its own copy of the object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_stats(
    set: *const pollset_t,
    stats: *mut pollset_stats_t,
    size: usize,
) -> c_int {
    // SAFETY: the caller passes an object that is not freed.
    let set = unsafe { &*set };
    call(|| {
        if stats.is_null() {
            return Err(libc::EFAULT);
        }
        let known = copy(set);
        let length = size.min(size_of::<pollset_stats_t>());
        // SAFETY: `stats` has `size` bytes. The members are integers without padding in between.
        unsafe {
            ptr::write_bytes(stats.cast::<u8>(), 0, size);
            ptr::copy_nonoverlapping(ptr::from_ref(&known).cast(), stats.cast::<u8>(), length);
        }
        Ok(0)
    })
}

fn copy(set: &pollset_t) -> pollset_stats_t {
    let stats = set.set.stats();
    pollset_stats_t {
        poll_waits: stats.poll_waits,
        epoll_waits: stats.epoll_waits,
        changes_applied: stats.changes_applied,
        audited: stats.audited,
        compared: stats.compared,
        replaced: stats.replaced,
        refused: stats.refused,
        last_engine: match stats.last_engine {
            None => 0,
            Some(Engine::Epoll) => POLLSET_EPOLL.into(),
            Some(_) => POLLSET_POLL.into(),
        },
    }
}

/// Returns the version of the library, such as "0.1.0": that of the library that is loaded, which may
/// be newer than the `POLLSET_VERSION` of the header.
///
/// # Attributes
///
/// It may be called anywhere.
#[unsafe(no_mangle)]
pub extern "C" fn pollset_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
