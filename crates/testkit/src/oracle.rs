//! The reference: the kernel's `poll(2)`, called directly.

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Engine, Event, PollFlags, PollSet};

use super::{LONG, NOW, engine};

/// The events that `poll(2)` reports without blocking, in the order of `entries`.
pub fn kernel_poll(entries: &[(RawFd, PollFlags)]) -> Vec<Event> {
    let mut array = pollfds_of(entries);
    while raw_poll(&mut array, 0) < 0 {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "{error}");
    }
    let events = array.iter().filter(|entry| entry.revents != 0);
    let events = events.map(|entry| Event {
        fd: entry.fd,
        revents: PollFlags::from_bits_retain(entry.revents as u16),
    });
    events.collect()
}

pub fn pollfds_of(entries: &[(RawFd, PollFlags)]) -> Vec<libc::pollfd> {
    let entries = entries.iter().map(|&(fd, mask)| libc::pollfd {
        fd,
        events: mask.bits() as i16,
        revents: 0,
    });
    entries.collect()
}

pub fn raw_poll(array: &mut [libc::pollfd], milliseconds: i32) -> i32 {
    // SAFETY: the pointer and the length are those of a slice that is borrowed until this returns.
    unsafe { libc::poll(array.as_mut_ptr(), array.len() as libc::nfds_t, milliseconds) }
}

/// Waits until the kernel reports exactly `revents` of the events `among` for `fd`: data may take a
/// moment to pass through the network stack.
pub fn wait_for_revents(fd: &impl AsRawFd, among: PollFlags, revents: PollFlags) {
    let reported = || {
        let events = kernel_poll(&[(fd.as_raw_fd(), among)]);
        events.first().map_or(PollFlags::empty(), |event| event.revents & among)
    };
    while reported() != revents {
        std::thread::yield_now();
    }
}

/// Asserts that the set reports the kernel's events for its registrations, with and without
/// blocking. Returns them.
#[track_caller]
pub fn assert_matches_kernel(set: &PollSet) -> Vec<Event> {
    let registered: Vec<_> = set.iter().collect();
    assert_matches_kernel_for(set, &registered)
}

/// Asserts that the set reports the kernel's events for `registered`, with and without blocking.
#[track_caller]
pub fn assert_matches_kernel_for(set: &PollSet, registered: &[(RawFd, PollFlags)]) -> Vec<Event> {
    loop {
        let before = kernel_poll(registered);
        let is_unchanged = || before == kernel_poll(registered);
        let events = set.poll(NOW).unwrap();
        if events != before && !is_unchanged() {
            continue; // data was in transit through the kernel
        }
        assert_eq!(events, before, "without blocking");
        if !before.is_empty() {
            let events = set.poll(None).unwrap();
            if events != before && !is_unchanged() {
                continue;
            }
            assert_eq!(events, before, "without a timeout");
        }
        return before;
    }
}

/// Asserts that the set reports `expected`: at once, or on epoll as soon as its audit has found the
/// closed descriptors.
#[track_caller]
pub fn assert_eventually_reports(set: &PollSet, expected: &[Event]) {
    let audit_time = if engine() == Some(Engine::Poll) { Duration::ZERO } else { LONG };
    let start = Instant::now();
    while set.poll(NOW).unwrap() != expected && start.elapsed() < audit_time {}
    assert_eq!(set.poll(NOW).unwrap(), expected);
}
