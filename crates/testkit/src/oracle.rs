//! The judge: the kernel's `poll(2)`, called bare.

use std::os::fd::{AsRawFd, RawFd};

use std::time::{Duration, Instant};

use pollset::{Engine, Event, PollFlags, PollSet};

use super::{LONG, NOW, engine};

/// What `poll(2)` answers at once, in the order given.
pub fn kernel_poll(entries: &[(RawFd, PollFlags)]) -> Vec<Event> {
    let mut array = array_of(entries);
    while kernel_wait(&mut array, 0) < 0 {
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

pub fn array_of(entries: &[(RawFd, PollFlags)]) -> Vec<libc::pollfd> {
    let entries = entries.iter().map(|&(fd, mask)| libc::pollfd {
        fd,
        events: mask.bits() as i16,
        revents: 0,
    });
    entries.collect()
}

pub fn kernel_wait(array: &mut [libc::pollfd], milliseconds: i32) -> i32 {
    // SAFETY: the pointer and the length are those of a slice that is ours until this returns.
    unsafe { libc::poll(array.as_mut_ptr(), array.len() as libc::nfds_t, milliseconds) }
}

/// Waits until the kernel's answer about `fd`, cut to `among`, is `revents`: what goes through
/// the network stack may take a moment.
pub fn until_kernel_reports(fd: &impl AsRawFd, among: PollFlags, revents: PollFlags) {
    let answer = || {
        let events = kernel_poll(&[(fd.as_raw_fd(), among)]);
        events.first().map_or(PollFlags::empty(), |event| event.revents & among)
    };
    while answer() != revents {
        std::thread::yield_now();
    }
}

/// The set answers what the kernel answers about its registrations, waiting or not.
#[track_caller]
pub fn assert_agrees(set: &PollSet) -> Vec<Event> {
    let registered: Vec<_> = set.iter().collect();
    assert_answers_for(set, &registered)
}

/// The set answers what the kernel answers about `registered`, waiting or not.
#[track_caller]
pub fn assert_answers_for(set: &PollSet, registered: &[(RawFd, PollFlags)]) -> Vec<Event> {
    assert_answers_within(set, registered, Duration::ZERO)
}

/// The same, in the end: what was closed behind the back of a set on epoll is found in a while.
/// How long that is, is a test of its own.
#[track_caller]
pub fn assert_answers_in_the_end(set: &PollSet, registered: &[(RawFd, PollFlags)]) -> Vec<Event> {
    let patience = if engine() == Engine::Poll { Duration::ZERO } else { LONG };
    assert_answers_within(set, registered, patience)
}

#[track_caller]
fn assert_answers_within(
    set: &PollSet,
    registered: &[(RawFd, PollFlags)],
    patience: Duration,
) -> Vec<Event> {
    let start = Instant::now();
    loop {
        let before = kernel_poll(registered);
        let asked = set.poll(NOW).unwrap();
        let unchanged = || before == kernel_poll(registered);
        if asked != before && (start.elapsed() < patience || !unchanged()) {
            continue; // something was still on its way through the kernel
        }
        assert_eq!(asked, before, "without waiting");
        if !before.is_empty() {
            let waited = set.poll(None).unwrap();
            if waited != before && (start.elapsed() < patience || !unchanged()) {
                continue;
            }
            assert_eq!(waited, before, "waiting");
        }
        return before;
    }
}

/// The set answers `expected` from some moment on: at once, but for closed numbers on epoll.
#[track_caller]
pub fn assert_comes_to_answer(set: &PollSet, expected: &[Event]) {
    let patience = if engine() == Engine::Poll { Duration::ZERO } else { LONG };
    let start = Instant::now();
    while set.poll(NOW).unwrap() != expected && start.elapsed() < patience {}
    assert_eq!(set.poll(NOW).unwrap(), expected);
}
