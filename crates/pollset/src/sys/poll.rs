#![allow(unsafe_code)]

//! poll(2) and ppoll(2).

use std::io;
#[cfg(has_ppoll)]
use std::ptr;
use std::slice;
use std::time::Duration;

use libc::{c_int, nfds_t, pollfd};

use super::signals::SignalSet;
use crate::PollFd;

/// Calls poll(2), or ppoll(2) if the timeout needs it. Returns the number of entries with `revents`.
///
/// A `timeout` of `None` is none. A return of 0 doesn't prove that the time is up: the system may
/// clamp a very long timeout.
///
/// Not `rustix::event::poll`: it takes only borrowed descriptors, which are open, and always calls
/// ppoll(2), which costs 13 ns more with a timeout of 0, and 100 ns more with a longer one.
pub fn poll(entries: &mut [pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    result(match timeout {
        None => poll_ms(entries, -1),
        Some(Duration::ZERO) => poll_ms(entries, 0),
        Some(timeout) => match whole_milliseconds(Some(timeout)) {
            Some(ms) => poll_ms(entries, ms),
            None => poll_for(entries, timeout),
        },
    })
}

/// A timeout as poll(2) and epoll_wait(2) take it: -1 is none. `None`: there is a fraction of a
/// millisecond, or there are too many.
#[inline]
pub fn whole_milliseconds(timeout: Option<Duration>) -> Option<c_int> {
    match timeout {
        None => Some(-1),
        Some(Duration::ZERO) => Some(0),
        Some(timeout) if timeout.subsec_nanos() % 1_000_000 == 0 => {
            timeout.as_millis().try_into().ok()
        }
        Some(_) => None,
    }
}

/// Calls ppoll(2): `mask` is the signal mask of the thread meanwhile.
#[cfg(has_ppoll)]
pub fn poll_masked(
    entries: &mut [pollfd],
    timeout: Option<Duration>,
    mask: &SignalSet,
) -> io::Result<usize> {
    result(ppoll(entries, timeout, Some(mask)))
}

/// There is no mask.
#[cfg(not(has_ppoll))]
pub fn poll_masked(
    _entries: &mut [pollfd],
    _timeout: Option<Duration>,
    mask: &SignalSet,
) -> io::Result<usize> {
    match *mask {}
}

fn result(ready: c_int) -> io::Result<usize> {
    if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready as usize) }
}

fn poll_ms(entries: &mut [pollfd], ms: c_int) -> c_int {
    // SAFETY: the kernel reads `fd` and `events` and writes `revents` of `entries.len()` entries, all
    // inside the slice, which this call borrows alone. A number may be closed, or negative; the
    // kernel reads, writes or closes no descriptor.
    unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as nfds_t, ms) }
}

#[cfg(has_ppoll)]
fn poll_for(entries: &mut [pollfd], timeout: Duration) -> c_int {
    ppoll(entries, Some(timeout), None)
}

#[cfg(has_ppoll)]
fn ppoll(entries: &mut [pollfd], timeout: Option<Duration>, mask: Option<&SignalSet>) -> c_int {
    let timespec = timeout.map(|timeout| {
        // SAFETY: a timespec is integers only (and padding on some systems), for which zero is valid.
        let mut timespec: libc::timespec = unsafe { std::mem::zeroed() };
        timespec.tv_sec = timeout.as_secs().min(i32::MAX as u64) as _; // time_t, 32 or 64 bits
        timespec.tv_nsec = timeout.subsec_nanos() as _;
        timespec
    });
    let timespec = timespec.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mask = mask.map_or(ptr::null(), SignalSet::as_ptr);
    // SAFETY: as for poll(2) above; the kernel also reads the timespec and the mask, which live through
    // the call. A null pointer means that there is none.
    unsafe { libc::ppoll(entries.as_mut_ptr(), entries.len() as nfds_t, timespec, mask) }
}

#[cfg(not(has_ppoll))]
fn poll_for(entries: &mut [pollfd], timeout: Duration) -> c_int {
    let ms = timeout.as_nanos().div_ceil(1_000_000);
    poll_ms(entries, ms.min(c_int::MAX as u128) as c_int)
}

/// The same entries, as the system has them.
#[inline]
pub fn entries_of(fds: &mut [PollFd]) -> &mut [pollfd] {
    // SAFETY: a PollFd has the layout of its only field, a pollfd, and no further invariant. The slice
    // borrows `fds` for as long as the result is in use.
    unsafe { slice::from_raw_parts_mut(fds.as_mut_ptr().cast(), fds.len()) }
}
