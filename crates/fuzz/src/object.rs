#![allow(unsafe_code)]

//! The polling object under test: one of libpollset, which has a `PollSet` inside.

use std::io;
use std::ops::Deref;
use std::os::fd::RawFd;
use std::ptr;
use std::time::{Duration, Instant};

use libc::{c_int, c_short, pollfd, timespec};
use pollset::{Engine, Event, PollFlags, PollSet, Timeout};
use pollset_c::registrations::{pollset_modify, pollset_register, pollset_unregister};
use pollset_c::set::{POLLSET_EPOLL, POLLSET_POLL, pollset_free, pollset_new, pollset_t};
use pollset_c::wait::pollset_wait;

/// Changes and some waits go through the functions of C, the others through those of Rust.
pub struct Object(*mut pollset_t);

// SAFETY: pollset.h says that all threads may use an object.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    pub fn new(engine: Option<Engine>) -> Self {
        let set = pollset_new(match engine {
            None => 0,
            Some(Engine::Poll) => POLLSET_POLL,
            Some(_) => POLLSET_EPOLL,
        });
        assert!(!set.is_null(), "no object: {}", io::Error::last_os_error());
        Self(set)
    }

    pub fn register(&self, fd: RawFd, events: PollFlags) -> io::Result<()> {
        // SAFETY: the object lives until `self` is dropped.
        check(unsafe { pollset_register(self.0, fd, events.bits() as c_short) }).map(drop)
    }

    pub fn modify(&self, fd: RawFd, events: PollFlags) -> io::Result<()> {
        // SAFETY: as in `register`.
        check(unsafe { pollset_modify(self.0, fd, events.bits() as c_short) }).map(drop)
    }

    pub fn unregister(&self, fd: RawFd) -> io::Result<()> {
        // SAFETY: as in `register`.
        check(unsafe { pollset_unregister(self.0, fd) }).map(drop)
    }

    /// Waits with room for `room` results, and repeats the wait until it has returned each ready descriptor.
    pub fn wait_in_turn(&self, room: usize, timeout: Timeout) -> io::Result<Vec<Event>> {
        let mut results = vec![pollfd { fd: 0, events: 0, revents: 0 }; room];
        let mut events = Vec::<Event>::new();
        let mut count = self.wait(&mut results, timeout)?;
        let mut known = 0; // results in a row that were there before
        loop {
            for result in &results[..count] {
                if events.iter().any(|event| event.fd == result.fd) {
                    known += 1;
                    continue;
                }
                known = 0;
                let revents = PollFlags::from_bits_retain(result.revents as u16);
                events.push(Event { fd: result.fd, revents });
            }
            if count == 0 || known > events.len() {
                return Ok(events);
            }
            count = self.wait(&mut results, Duration::ZERO.into())?;
        }
    }

    /// Waits again after each signal.
    fn wait(&self, results: &mut [pollfd], timeout: Timeout) -> io::Result<usize> {
        let deadline = match timeout {
            Timeout::After(timeout) => Some(Instant::now() + timeout),
            _ => None,
        };
        loop {
            let left = deadline.map(|deadline| deadline - Instant::now());
            let left = left.map(|left| timespec {
                tv_sec: left.as_secs() as _,
                tv_nsec: left.subsec_nanos() as _,
            });
            let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
            let (array, room) = (results.as_mut_ptr(), results.len());
            // SAFETY: as in `register`; the function writes up to `room` results, and reads the timeout.
            match check(unsafe { pollset_wait(self.0, array, room, left, ptr::null()) }) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome.map(|count| count as usize),
            }
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the object is freed here only.
        unsafe { pollset_free(self.0) };
    }
}

impl Deref for Object {
    type Target = PollSet;

    fn deref(&self) -> &PollSet {
        // SAFETY: as in `register`.
        unsafe { &*self.0 }.rust()
    }
}

fn check(value: c_int) -> io::Result<c_int> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
