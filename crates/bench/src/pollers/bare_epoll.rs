use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null_mut;
use std::time::Duration;

use anyhow::Result;
use libc::{
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, c_int,
    epoll_event,
};

use super::poller::{Interest, Poller};

/// An epoll(7) instance with level-triggered registrations.
pub struct Epoll {
    instance: OwnedFd,
    events: Vec<epoll_event>,
}

impl Epoll {
    pub fn new(capacity: usize) -> Result<Self> {
        // SAFETY: epoll_create1(2) takes no pointers.
        let instance = unsafe { libc::epoll_create1(EPOLL_CLOEXEC) };
        if instance < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: the descriptor was opened above and has no other owner.
        let instance = unsafe { OwnedFd::from_raw_fd(instance) };
        Ok(Self { instance, events: vec![epoll_event { events: 0, u64: 0 }; capacity] })
    }

    pub fn add_with_token(&self, fd: RawFd, token: u64) -> Result<()> {
        let mut event = epoll_event { events: EPOLLIN as u32, u64: token };
        self.control(EPOLL_CTL_ADD, fd, &mut event)
    }

    pub fn modify_with_token(&self, fd: RawFd, interest: Interest, token: u64) -> Result<()> {
        let events = match interest {
            Interest::Read => EPOLLIN,
            Interest::ReadAndWrite => EPOLLIN | EPOLLOUT,
        };
        let mut event = epoll_event { events: events as u32, u64: token };
        self.control(EPOLL_CTL_MOD, fd, &mut event)
    }

    pub fn wait_for_events(&mut self, timeout: Option<Duration>) -> Result<&[epoll_event]> {
        let ms = timeout.map_or(-1, |timeout| timeout.as_millis() as c_int);
        let capacity = self.events.len() as c_int;
        // SAFETY: the kernel writes at most `capacity` events, the length of the list.
        let count = unsafe {
            libc::epoll_wait(self.instance.as_raw_fd(), self.events.as_mut_ptr(), capacity, ms)
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(&self.events[..count])
    }

    fn control(&self, operation: c_int, fd: RawFd, event: *mut epoll_event) -> Result<()> {
        // SAFETY: the kernel reads the caller's event; EPOLL_CTL_DEL ignores the pointer.
        let result = unsafe { libc::epoll_ctl(self.instance.as_raw_fd(), operation, fd, event) };
        if result < 0 { Err(io::Error::last_os_error().into()) } else { Ok(()) }
    }
}

impl Poller for Epoll {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        self.add_with_token(fd, fd as u64)
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        self.modify_with_token(fd, interest, fd as u64)
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.control(EPOLL_CTL_DEL, fd, null_mut())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        ready.extend(self.wait_for_events(timeout)?.iter().map(|event| event.u64 as RawFd));
        Ok(())
    }
}

/// Relies on close(2) to remove the registration.
pub struct EpollWithoutDelete(pub Epoll);

impl Poller for EpollWithoutDelete {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        self.0.add(fd)
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        self.0.modify(fd, interest)
    }

    fn remove(&mut self, _: RawFd) -> Result<()> {
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        self.0.wait(timeout, ready)
    }
}
