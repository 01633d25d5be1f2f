//! What is registered.

#![allow(unsafe_code)]

use libc::{c_int, c_short};
use pollset::PollFlags;

use crate::call::call;
use crate::set::pollset_t;

/// Registers the descriptor `fd` with a polling object, to be watched for `events`.
///
/// `events` is a combination of the bits of `<poll.h>`: `POLLIN`, `POLLPRI`, `POLLOUT` and the others that
/// poll(2) of the system takes. `POLLERR`, `POLLHUP` and `POLLNVAL` are reported in any case. If `fd` is
/// registered already, its events are replaced, and it keeps its place in the order of registration.
///
/// The descriptor isn't looked at. So a number that is not open is no error: pollset_wait() reports
/// `POLLNVAL` for it. Unregister a descriptor before you close it.
///
/// A wait in progress in another thread may not take account of the change; the next one does.
///
/// # Return value
///
/// 0; or -1, with `errno` set.
///
/// # Errors
///
/// - `EBADF`: `fd` is negative.
/// - `EINVAL`: `fd` is the object's own, which pollset_wait() watches for pollset_wake().
///
/// # Attributes
///
/// - Threads: any thread may call it at any time, also during a wait.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child changes its own copy of the object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_register(
    set: *mut pollset_t,
    fd: c_int,
    events: c_short,
) -> c_int {
    // SAFETY: the caller passes an object that is not freed. All its parts may be shared by threads.
    let set = unsafe { &*set };
    call(|| {
        if set.is_waker(fd) {
            return Err(libc::EINVAL);
        }
        // The only error: a negative number.
        set.set.register(fd, flags(events)).map_err(|_| libc::EBADF)?;
        Ok(0)
    })
}

/// Replaces the events that a registered descriptor is watched for.
///
/// It keeps its place in the order of registration. For the rest see pollset_register().
///
/// # Return value
///
/// 0; or -1, with `errno` set.
///
/// # Errors
///
/// - `ENOENT`: `fd` is not registered.
///
/// # Attributes
///
/// - Threads: any thread may call it at any time, also during a wait.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child changes its own copy of the object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_modify(set: *mut pollset_t, fd: c_int, events: c_short) -> c_int {
    // SAFETY: as in `pollset_register`.
    let set = unsafe { &*set };
    call(|| {
        if set.is_waker(fd) {
            return Err(libc::ENOENT);
        }
        set.set.modify(fd, flags(events)).map_err(|_| libc::ENOENT)?;
        Ok(0)
    })
}

/// Stops watching a descriptor.
///
/// Call it before the descriptor is closed. A wait in progress in another thread may still report the
/// descriptor, and the results of a wait that is over may have it.
///
/// # Return value
///
/// 0; or -1, with `errno` set.
///
/// # Errors
///
/// - `ENOENT`: `fd` is not registered.
///
/// # Attributes
///
/// - Threads: any thread may call it at any time, also during a wait.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child changes its own copy of the object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_unregister(set: *mut pollset_t, fd: c_int) -> c_int {
    // SAFETY: as in `pollset_register`.
    let set = unsafe { &*set };
    call(|| {
        if set.is_waker(fd) {
            return Err(libc::ENOENT);
        }
        set.set.unregister(fd).map_err(|_| libc::ENOENT)?;
        Ok(0)
    })
}

/// Returns the events that a descriptor is watched for.
///
/// # Return value
///
/// The bits with which it was registered, 0 to 65535; or -1, with `errno` set.
///
/// # Errors
///
/// - `ENOENT`: `fd` is not registered.
///
/// # Attributes
///
/// - Threads: any thread may call it at any time, also during a wait.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child reads its own copy of the object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_interest(set: *const pollset_t, fd: c_int) -> c_int {
    // SAFETY: as in `pollset_register`.
    let set = unsafe { &*set };
    call(|| match set.set.interest(fd) {
        Some(events) if !set.is_waker(fd) => Ok(events.bits().into()),
        _ => Err(libc::ENOENT),
    })
}

/// Returns the number of registered descriptors.
///
/// A wait returns at most this number of results, unless another thread registers more descriptors.
///
/// # Attributes
///
/// - Threads: any thread may call it at any time, also during a wait.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child reads its own copy of the object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_length(set: *const pollset_t) -> usize {
    // SAFETY: as in `pollset_register`.
    let set = unsafe { &*set };
    let mut length = 0;
    call(|| {
        length = set.length();
        Ok(0)
    });
    length
}

fn flags(events: c_short) -> PollFlags {
    PollFlags::from_bits_retain(events as u16)
}
