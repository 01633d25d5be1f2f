#![allow(unsafe_code)]

use std::io::Error;
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

use anyhow::{Result, ensure};
use libc::{POLLIN, POLLOUT, c_int, pollfd, timespec};
use pollset_c::registrations::{pollset_modify, pollset_register, pollset_unregister};
use pollset_c::set::{pollset_free, pollset_new, pollset_t};
use pollset_c::wait::pollset_wait;

use super::poller::{Interest, Poller};

/// libpollset, called as a program in C calls it.
pub struct CFace {
    set: *mut pollset_t,
    results: Vec<pollfd>,
}

impl CFace {
    pub fn new(capacity: usize) -> Result<Self> {
        let set = pollset_new(0);
        ensure!(!set.is_null(), Error::last_os_error());
        Ok(Self { set, results: vec![pollfd { fd: 0, events: 0, revents: 0 }; capacity] })
    }
}

impl Drop for CFace {
    fn drop(&mut self) {
        // SAFETY: the object is freed here only.
        unsafe { pollset_free(self.set) };
    }
}

impl Poller for CFace {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        // SAFETY: the object lives until `self` is dropped.
        check(unsafe { pollset_register(self.set, fd, POLLIN) })
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        let events = match interest {
            Interest::Read => POLLIN,
            Interest::ReadAndWrite => POLLIN | POLLOUT,
        };
        // SAFETY: as in `add`.
        check(unsafe { pollset_modify(self.set, fd, events) })
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        // SAFETY: as in `add`.
        check(unsafe { pollset_unregister(self.set, fd) })
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        let timeout = timeout.map(|timeout| timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos() as _,
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (results, room) = (self.results.as_mut_ptr(), self.results.len());
        // SAFETY: as in `add`; the function writes up to `room` results, and reads the timeout.
        let count = unsafe { pollset_wait(self.set, results, room, timeout, ptr::null()) };
        check(count)?;
        ready.extend(self.results[..count as usize].iter().map(|result| result.fd));
        Ok(())
    }
}

fn check(value: c_int) -> Result<()> {
    ensure!(value != -1, Error::last_os_error());
    Ok(())
}
