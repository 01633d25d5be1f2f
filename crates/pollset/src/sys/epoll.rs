#![allow(unsafe_code)]

//! `epoll(7)` with raw numbers: what is watched need not be open.

use std::io;
use std::iter;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use libc::{c_int, epoll_event};

use super::process_generation;
use super::signals::SignalSet;
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

/// An epoll instance, by its number.
///
/// Another part of the program may close the number and use it for another file. So the instance
/// bears a mark that belongs to the file and not to the number, and [`close`](Self::close) looks
/// for it first. A value that is dropped closes nothing. A forked child has a copy of the number,
/// and must not use it: the instance is its parent's.
#[derive(Clone, Copy)]
pub struct Epoll {
    fd: RawFd,
    mark: c_int,
    /// The process that has opened it.
    owner: u32,
}

/// The kernel returns it with each event of an entry.
pub type Token = u64;

impl Epoll {
    /// Opens an instance on the lowest free number that is not in `taken`: the numbers that are
    /// registered and not open have to stay closed.
    pub fn new(taken: impl Fn(RawFd) -> bool) -> io::Result<Self> {
        // SAFETY: the call takes a flag, and returns a new descriptor or -1.
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
        // An emulator of another processor keeps a few signals for itself.
        let mut marks = iter::repeat_with(next_mark).take(8);
        // SAFETY: the call takes numbers; `fd` was opened here.
        let Some(mark) = marks.find(|&mark| unsafe { libc::fcntl(fd, F_SETSIG, mark) } == 0) else {
            let error = io::Error::last_os_error();
            // SAFETY: `fd` was opened here; it is closed once, after its last use.
            unsafe { libc::close(fd) };
            return Err(error);
        };
        Ok(Self { fd, mark, owner: process_generation() })
    }

    /// Whether the process of this `generation` has opened it, and not one that it was forked from.
    #[inline]
    pub fn is_owned_by(&self, generation: u32) -> bool {
        self.owner == generation
    }

    /// Makes it no process's.
    pub fn disown(&mut self) {
        self.owner = 0; // generations are not 0
    }

    /// Whether the number still means this instance. There are 64 marks, so one in 64 other instances
    /// of this library is taken for it.
    pub fn has_mark(&self) -> bool {
        // SAFETY: the call takes numbers, and changes nothing.
        unsafe { libc::fcntl(self.fd, F_GETSIG) == self.mark }
    }

    /// Closes it, unless the number means another file by now. Must be the last use in the process
    /// that has opened it.
    pub fn close(self) {
        if self.has_mark() {
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

    /// Level-triggered: poll(2) has none of the bits that change that.
    fn control(&self, what: c_int, fd: RawFd, events: PollFlags, token: Token) -> io::Result<()> {
        let mut event = epoll_event { events: events.bits().into(), u64: token };
        // SAFETY: the kernel reads one epoll_event, which lives through the call. No descriptor is
        // read from, written to or closed; a number that is not open is an error.
        match unsafe { libc::epoll_ctl(self.number(), what, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for `ms` milliseconds (-1: without a timeout), and writes the events to `events`, or as
    /// many as it has room for. Returns their number.
    #[inline]
    pub fn wait(&self, events: &mut [epoll_event], ms: c_int) -> io::Result<usize> {
        let room = events.len().min(c_int::MAX as usize) as c_int;
        // SAFETY: the kernel writes at most `room` events to memory that `events` borrows.
        let ready = unsafe { libc::epoll_wait(self.number(), events.as_mut_ptr(), room, ms) };
        if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready as usize) }
    }

    /// The same with `mask` as the signal mask of the thread.
    pub fn wait_masked(
        &self,
        events: &mut [epoll_event],
        ms: c_int,
        mask: &SignalSet,
    ) -> io::Result<usize> {
        let room = events.len().min(c_int::MAX as usize) as c_int;
        let (events, mask) = (events.as_mut_ptr(), mask.as_ptr());
        // SAFETY: the kernel writes at most `room` events to memory that `events` borrows, and reads
        // the mask, which lives through the call.
        let ready = unsafe { epoll_pwait(self.number(), events, room, ms, mask) };
        if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready as usize) }
    }
}

#[cfg(not(target_os = "android"))]
use libc::epoll_pwait;

/// libc has no such function for Android.
///
/// # Safety
///
/// As for epoll_pwait(2): `events` has room for `room` events, and `mask` is a mask of signals.
#[cfg(target_os = "android")]
unsafe fn epoll_pwait(
    epoll: c_int,
    events: *mut epoll_event,
    room: c_int,
    ms: c_int,
    mask: *const libc::sigset_t,
) -> c_int {
    let size = size_of::<libc::sigset_t>(); // 8, that of the kernel: see the build script
    // SAFETY: the kernel writes at most `room` events, and reads `size` bytes of the mask.
    unsafe { libc::syscall(libc::SYS_epoll_pwait, epoll, events, room, ms, mask, size) as c_int }
}

/// The signal that a file sends when it becomes ready, if it is asked to. An epoll instance never
/// sends one. The setting belongs to the file, not to the number. (libc has these constants for some
/// architectures only; they are the same on all.)
const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;

/// Each signal number in turn. Files without a mark have 0.
fn next_mark() -> c_int {
    static LAST: AtomicU32 = AtomicU32::new(0);
    (LAST.fetch_add(1, Relaxed) % 64 + 1) as c_int
}

/// The events and the token of an event.
pub fn parts(event: &epoll_event) -> (PollFlags, Token) {
    (PollFlags::from_bits_retain(event.events as u16), event.u64)
}
