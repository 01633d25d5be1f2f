#![allow(unsafe_code)]

//! `epoll(7)` with raw numbers: what is watched need not be open.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use libc::{c_int, epoll_event};

use crate::PollFlags;

/// The events of poll(2) have the same values in epoll(7), here.
const _: () = assert!(
    PollFlags::IN.bits() as c_int == libc::EPOLLIN
        && PollFlags::PRI.bits() as c_int == libc::EPOLLPRI
        && PollFlags::OUT.bits() as c_int == libc::EPOLLOUT
        && PollFlags::ERR.bits() as c_int == libc::EPOLLERR
        && PollFlags::HUP.bits() as c_int == libc::EPOLLHUP
        && PollFlags::RDHUP.bits() as c_int == libc::EPOLLRDHUP
        && PollFlags::RDNORM.bits() as c_int == libc::EPOLLRDNORM
        && PollFlags::RDBAND.bits() as c_int == libc::EPOLLRDBAND
        && PollFlags::WRNORM.bits() as c_int == libc::EPOLLWRNORM
        && PollFlags::WRBAND.bits() as c_int == libc::EPOLLWRBAND
);

/// An epoll instance.
///
/// It goes by its number, which somebody else in the process may have closed and used again. So it
/// bears a mark that stays with the file, and is closed only if the mark is found there. It is not
/// closed by being dropped: in a forked child, it is the parent's.
pub struct Epoll {
    fd: RawFd,
    mark: c_int,
}

/// What the kernel is told to give back with an event.
pub type Token = u64;

impl Epoll {
    /// Its number is none that is `taken`: those that are not open must stay so.
    pub fn new(taken: impl Fn(RawFd) -> bool) -> io::Result<Self> {
        // SAFETY: it takes a flag, and returns a new descriptor, or -1.
        let mut fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        while fd >= 0 && taken(fd) {
            // SAFETY: `fd` was opened here; it is closed once, after its last use.
            fd = unsafe {
                let next = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, fd + 1);
                let error = io::Error::last_os_error();
                libc::close(fd);
                if next < 0 {
                    return Err(error);
                }
                next
            };
        }
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let epoll = Self { fd, mark: next_mark() };
        // SAFETY: both calls take numbers; `fd` was opened here and is closed after its last use.
        unsafe {
            if libc::fcntl(fd, F_SETSIG, epoll.mark) != 0 {
                let error = io::Error::last_os_error();
                libc::close(fd);
                return Err(error);
            }
        }
        Ok(epoll)
    }

    /// Whether its number still means this instance. In one case of 64 it says so of another
    /// instance that this library has opened.
    pub fn is_there(&self) -> bool {
        // SAFETY: it takes numbers, and changes nothing.
        unsafe { libc::fcntl(self.fd, F_GETSIG) == self.mark }
    }

    /// Unless its number means another file by now. Must be the last use of it.
    pub fn close(&self) {
        if self.is_there() {
            // SAFETY: the number was opened by `new`, and the caller has closed it nowhere else.
            unsafe { libc::close(self.fd) };
        }
    }

    pub fn number(&self) -> RawFd {
        self.fd
    }

    pub fn add(&self, fd: RawFd, events: PollFlags, token: Token) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, token)
    }

    pub fn modify(&self, fd: RawFd, events: PollFlags, token: Token) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, token)
    }

    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, PollFlags::empty(), 0)
    }

    /// Level-triggered: the bits that say otherwise are beyond those of poll(2).
    fn control(&self, what: c_int, fd: RawFd, events: PollFlags, token: Token) -> io::Result<()> {
        let mut event = epoll_event { events: events.bits().into(), u64: token };
        // SAFETY: the kernel reads one epoll_event, which lives through the call. No descriptor is
        // read from, written to or closed; a number that is not open is an error.
        match unsafe { libc::epoll_ctl(self.number(), what, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for `ms` milliseconds (-1: for ever) and puts what is ready into `events`, or as much
    /// of it as there is room for. Returns how many.
    #[inline]
    pub fn wait(&self, events: &mut [epoll_event], ms: c_int) -> io::Result<usize> {
        let room = events.len().min(c_int::MAX as usize) as c_int;
        // SAFETY: the kernel writes at most `room` events to memory that `events` borrows.
        let ready = unsafe { libc::epoll_wait(self.number(), events.as_mut_ptr(), room, ms) };
        if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready as usize) }
    }
}

/// The signal that a file sends when it becomes ready, if it sends any, which an epoll instance
/// never does. It belongs to the file, not to the number. (The same numbers on all architectures.)
const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;

/// Each signal number in turn, since files without a mark have 0.
fn next_mark() -> c_int {
    static LAST: AtomicU32 = AtomicU32::new(0);
    (LAST.fetch_add(1, Relaxed) % 64 + 1) as c_int
}

/// The events and the token that the kernel has given back.
pub fn parts(event: &epoll_event) -> (PollFlags, Token) {
    (PollFlags::from_bits_retain(event.events as u16), event.u64)
}

/// Nanoseconds of the monotonic clock, as exact as it can be told.
pub fn now() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

/// The same, up to a few milliseconds late, for a sixth of the cost.
pub fn coarse_now() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC_COARSE)
}

/// Not rustix's: where it looks for the kernel's code to tell the time, valgrind has no memory.
fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which lives through the call. It has these clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32).as_nanos() as u64
}
