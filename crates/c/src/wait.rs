//! Waiting, and waking.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::slice;
use std::sync::atomic::Ordering::Relaxed;

use libc::{c_int, pollfd, sigset_t, size_t};
use pollset::{Timeout, Waiting};

use crate::call::{call, call_in_handler, number};
use crate::set::pollset_t;
use crate::time::{self, timespec};
use crate::turn::Turns;

/// Waits until registered descriptors have events, and writes them to `results`, which has room for
/// `room` of them.
///
/// A result has the number of the descriptor in `fd`, and its events in `revents`: those that it is
/// watched for, and `POLLERR`, `POLLHUP` and `POLLNVAL`. `events` is 0. If there is room for all, the results
/// are in the order of registration, and each wait reports a descriptor that stays ready.
///
/// If more descriptors have events than there is room for, the results are some of them, and the next waits
/// have the others: in a round, each ready descriptor is reported once, before any is reported again. One that
/// is registered during a round comes in the next round. A round ends when all ready descriptors have been
/// reported, or when a wait has enough room.
///
/// Some files report a change to poll(2) only once. With too little room it would be lost. So the regular files
/// that report it with `POLLPRI` or `POLLERR`, such as /proc/self/mounts, get the places of others, which
/// come in the next wait. If more such files have changed than there is room for, some changes are lost. Perf
/// events need room for pollset_length() results.
///
/// `timeout` is a limit for the wait; NULL is no limit. With a timeout of 0 the function returns at once. A wait
/// without results lasts at least as long as `timeout`, unless a signal handler or pollset_wake() ends it. It may
/// last longer, as the system's timers decide.
///
/// `mask` is the signal mask of the thread while it waits, as that of ppoll(2): to set it and to wait
/// are one step. With NULL, the mask stays as it is.
///
/// # Return value
///
/// The number of results. 0: the time was up, or pollset_wake() has ended the wait. Or -1, with `errno`
/// set; then `results` is as it was.
///
/// # Errors
///
/// - `EBADF`: in a forked child, with `POLLSET_WAKE`, as that of pollset_wake().
/// - `EBUSY`: another thread waits with this object.
/// - `EFAULT`: `results` is NULL.
/// - `EINTR`: a signal handler ran while the thread slept, also one with `SA_RESTART`.
/// - `EINVAL`: `room` is 0; `timeout` is negative, or its `tv_nsec` is not below 1,000,000,000; or there
///   are more descriptors than the process may open (`RLIMIT_NOFILE`).
/// - `EMFILE`, `ENFILE`: in a forked child, with `POLLSET_WAKE`, as those of pollset_new().
/// - `ENOMEM`: the kernel has no memory.
/// - `ENOSYS`: `mask` is not NULL, and the system has no ppoll(2).
///
/// # Attributes
///
/// - Threads: any thread may call it, one at a time for each object. Other threads may change the object meanwhile.
/// - Signal handlers: may not call it. One that interrupts it must return.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child waits with its own copy of the object, also if it was forked during a wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_wait(
    set: *mut pollset_t,
    results: *mut pollfd,
    room: size_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller passes null or a valid pointer.
    let timeout = unsafe { timeout.as_ref() };
    #[allow(clippy::unnecessary_cast)] // not on 32-bit systems
    let timeout = timeout.map(|timeout| (timeout.tv_sec as i64, timeout.tv_nsec as i64));
    // SAFETY: the caller's promises.
    unsafe { wait_for(set, results, room, timeout, mask) }
}

/// The header has programs with a `time_t` of 64 bits call it by the name of the other one.
#[cfg(all(has_time64, target_env = "gnu"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_wait_time64(
    set: *mut pollset_t,
    results: *mut pollfd,
    room: size_t,
    timeout: *const crate::time::timespec64,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: as in `pollset_wait`.
    unsafe {
        let timeout = timeout.as_ref();
        let timeout = timeout.map(|timeout| (timeout.tv_sec, timeout.tv_nsec.into()));
        wait_for(set, results, room, timeout, mask)
    }
}

// SAFETY: as for `pollset_wait`, `set` is an object that is not freed, `mask` is null or valid, and `results` is null or
// has `room` elements.
#[inline]
unsafe fn wait_for(
    set: *mut pollset_t,
    results: *mut pollfd,
    room: size_t,
    timeout: Option<(i64, i64)>,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller passes an object that is not freed, and null or a valid mask. All parts of the
    // object may be shared by threads.
    let (set, mask) = unsafe { (&*set, mask.as_ref()) };
    call(|| {
        let timeout = time::timeout(timeout)?;
        if results.is_null() {
            return Err(libc::EFAULT);
        }
        if room == 0 {
            return Err(libc::EINVAL);
        }
        let room = room.min(c_int::MAX as usize).min(isize::MAX as usize / size_of::<pollfd>());
        // SAFETY: `results` has `room` elements, which only this function uses until it returns, and
        // which may be uninitialized.
        let results = unsafe { slice::from_raw_parts_mut(results.cast(), room) };
        wait(set, results, timeout, mask)
    })
}

fn wait(
    set: &pollset_t,
    results: &mut [MaybeUninit<pollfd>],
    timeout: Timeout,
    mask: Option<&sigset_t>,
) -> Result<c_int, c_int> {
    let errno = |error| number(&error);
    let mut waiting = set.set.start(timeout).map_err(errno)?;
    if let Some(waker) = &set.waker {
        waker.prepare().map_err(errno)?;
    }
    let ready = match mask {
        None => waiting.finish(),
        Some(mask) => waiting.finish_masked(mask),
    };
    let mut ready = ready.map_err(errno)?;
    // The waker was registered first.
    if let Some(waker) = set.waker.as_ref().filter(|_| waiting.next_slot() == Some(0)) {
        // A signal handler has forked, and this is the child: the wake is its parent's.
        if !waker.is_own() {
            return Err(libc::EINTR);
        }
        ready -= 1;
        waker.clear().map_err(errno)?;
    }
    if ready <= results.len() {
        set.is_in_round.store(false, Relaxed);
        return Ok(take_all(set, &mut waiting, results) as c_int);
    }
    if !set.is_in_round.swap(true, Relaxed) {
        set.set.mark_all();
    }
    let mut turns = Turns::new(&set.set, results);
    for_each_event(set, &mut waiting, |result| turns.add(result));
    Ok(turns.finish() as c_int)
}

/// Moves the events to `results`, which has room for them. Returns their number.
#[inline]
fn take_all(
    set: &pollset_t,
    waiting: &mut Waiting<'_>,
    results: &mut [MaybeUninit<pollfd>],
) -> usize {
    let mut places = results.iter_mut();
    let count = places.len();
    for_each_event(set, waiting, |result| {
        if let Some(place) = places.next() {
            place.write(result);
        }
    });
    count - places.len()
}

/// Calls `function` with the result of each event, but not with that of the waker.
#[inline]
fn for_each_event(set: &pollset_t, waiting: &mut Waiting<'_>, mut function: impl FnMut(pollfd)) {
    let waker = set.waker.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    waiting.for_each_event(|event| {
        if event.fd != waker {
            function(pollfd { fd: event.fd, events: 0, revents: event.revents.bits() as i16 });
        }
    });
}

/// Ends the wait in progress with a polling object, or else its next one.
///
/// That wait returns its results; 0, if there are none. Several calls before a wait count as one.
///
/// If a signal handler calls it, the wait that the signal has interrupted may fail with `EINTR`. Then the next
/// wait returns at once.
///
/// In a forked child, a call ends waits of the child only, and one of the parent ends waits of the parent only.
/// For that, the first call of this function or of pollset_wait() in the child opens another file under the
/// number of the object's own descriptor. A call before the fork counts for the parent.
///
/// # Return value
///
/// 0; or -1, with `errno` set.
///
/// # Errors
///
/// - `EBADF`: in a forked child, the program has closed the object's own descriptor, or has lowered
///   `RLIMIT_NOFILE` to its number or below. If the number is that of another file now, only Linux notices
///   that, unless it is an eventfd(2).
/// - `EINVAL`: the object was made without `POLLSET_WAKE`.
/// - `EMFILE`, `ENFILE`, `ENOMEM`: in a forked child, as those of pollset_new(). A later call tries again.
///
/// # Attributes
///
/// - Threads: any thread may call it at any time.
/// - Signal handlers: any may call it. It leaves `errno` as it was, unless it fails.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child wakes its own waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_wake(set: *mut pollset_t) -> c_int {
    // SAFETY: the caller passes an object that is not freed. The waker may be shared by threads.
    let set = unsafe { &*set };
    call_in_handler(|| {
        let waker = set.waker.as_ref().ok_or(libc::EINVAL)?;
        waker.wake().map_err(|error| number(&error))
    })
}
