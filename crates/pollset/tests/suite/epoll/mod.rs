//! Behaviour of the epoll engine, whatever engine the rest of the suite runs on.

mod audit;
mod changes;
mod engine_choice;
mod event_buffer;
mod fallback;
mod foreign_fd;
mod fork;
mod handover;
mod hangups;
mod kinds;
mod namespaces;
mod seccomp;
mod stale_events;
mod threads;
mod unavailable;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use pollset::{Engine, Event, PollSet};
use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::helpers::set_with_engine;
use crate::util::fd::Fd;
use crate::util::open_fds::epoll_instances;
use crate::util::{self, LONG, NOW};

/// A set that uses epoll from its first wait on.
fn epoll_set() -> PollSet {
    set_with_engine::<Fd>(Engine::Epoll, [])
}

/// A set that has been polled on epoll once, with `fds` registered for `IN`.
fn polled_set<'a, T: AsRawFd + 'a>(fds: impl IntoIterator<Item = &'a T>) -> PollSet {
    let set = set_with_engine(Engine::Epoll, fds);
    set.poll(NOW).unwrap();
    assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    set
}

/// Polls until `is_expected` accepts the events. `LONG` is far beyond the documented bounds of the
/// audit.
#[track_caller]
fn poll_until(set: &PollSet, is_expected: impl Fn(&[Event]) -> bool) {
    let start = Instant::now();
    loop {
        let events = set.poll(NOW).unwrap();
        if is_expected(&events) {
            return;
        }
        assert!(start.elapsed() < LONG, "still {events:?}");
    }
}

/// Event counters that are idle and ready in turn.
fn half_ready_counters(count: u32) -> Vec<Fd> {
    (0..count).map(|i| util::kinds::eventfd(i % 2)).collect()
}

/// An event counter on the lowest free descriptor, for tests that run alone.
fn owned_counter(value: u32) -> OwnedFd {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    eventfd(value, flags).unwrap()
}

fn owned_counters(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| owned_counter(0)).collect()
}

fn make_ready<'a>(counters: impl IntoIterator<Item = &'a OwnedFd>) {
    for counter in counters {
        rustix::io::write(counter, &1_u64.to_ne_bytes()).unwrap();
    }
}

fn make_idle<'a>(counters: impl IntoIterator<Item = &'a OwnedFd>) {
    for counter in counters {
        rustix::io::read(counter, &mut [0; 8]).unwrap();
    }
}

/// The descriptor of the only epoll instance of this process.
#[track_caller]
fn instance_fd() -> RawFd {
    let instances = epoll_instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    instances[0]
}

fn new_epoll() -> OwnedFd {
    epoll::create(epoll::CreateFlags::CLOEXEC).unwrap()
}

/// The entries of an epoll instance, one per element: descriptor, events and token.
fn entries(instance: RawFd) -> Vec<String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{instance}")).unwrap();
    info.lines().filter(|line| line.starts_with("tfd:")).map(str::to_owned).collect()
}

/// The descriptors of the entries of an epoll instance, in ascending order.
fn installed_fds(instance: RawFd) -> Vec<RawFd> {
    let fd = |entry: &String| entry.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut fds: Vec<_> = entries(instance).iter().map(fd).collect();
    fds.sort();
    fds
}

/// Puts `file` on `number`, which has no owner afterwards, and closes the file that was there.
fn replace_fd(number: RawFd, file: &impl AsRawFd) {
    // SAFETY: it takes two numbers. If the set owns the second one, the test is about that.
    let outcome = unsafe { libc::dup2(file.as_raw_fd(), number) };
    assert_eq!(outcome, number, "{}", std::io::Error::last_os_error());
}

/// Closes a descriptor that has no owner, or whose owner is a set that must cope with that.
fn close_fd(number: RawFd) {
    // SAFETY: it is open, and has no owner but perhaps a set that the test is about.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}
