//! The system calls with nothing around them.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null_mut;

use libc::{c_int, epoll_event};

pub fn pollfd(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// How many are ready.
pub fn poll(entries: &mut [libc::pollfd], ms: c_int) -> usize {
    // SAFETY: the kernel reads and writes `entries.len()` entries of the slice.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, ms) };
    ready.try_into().expect("poll(2) succeeds")
}

/// Level-triggered, with room for an event of each descriptor.
pub struct Epoll {
    instance: OwnedFd,
    events: Vec<epoll_event>,
}

impl Epoll {
    pub fn watching(numbers: impl Iterator<Item = RawFd>) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let instance = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if instance < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the number was opened above, and nothing else closes it.
        let instance = unsafe { OwnedFd::from_raw_fd(instance) };
        let mut epoll = Self { instance, events: Vec::new() };
        for fd in numbers {
            epoll.add(fd)?;
            epoll.events.push(epoll_event { events: 0, u64: 0 });
        }
        Ok(epoll)
    }

    pub fn add(&self, fd: RawFd) -> io::Result<()> {
        let mut event = epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
        self.control(libc::EPOLL_CTL_ADD, fd, &mut event)
    }

    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, null_mut())
    }

    fn control(&self, operation: c_int, fd: RawFd, event: *mut epoll_event) -> io::Result<()> {
        // SAFETY: the kernel reads the event, which is the caller's, or nothing if it deletes.
        let outcome = unsafe { libc::epoll_ctl(self.instance.as_raw_fd(), operation, fd, event) };
        if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// How many are ready.
    pub fn wait(&mut self, ms: c_int) -> usize {
        let room = self.events.len() as c_int;
        // SAFETY: the kernel writes at most `room` events, of which the list has so many.
        let ready = unsafe {
            libc::epoll_wait(self.instance.as_raw_fd(), self.events.as_mut_ptr(), room, ms)
        };
        ready.try_into().expect("epoll_wait(2) succeeds")
    }
}
