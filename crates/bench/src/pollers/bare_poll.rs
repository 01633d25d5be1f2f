use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

use anyhow::Result;
use libc::{POLLIN, POLLOUT, c_int};

use super::indexed::Indexed;
use super::poller::{Interest, Poller};

/// poll(2) on an array that changes in place with the registrations.
#[derive(Default)]
pub struct Poll(Indexed<libc::pollfd>);

impl Poller for Poll {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        self.0.add(fd, entry(fd));
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        self.0.get_mut(fd).events = match interest {
            Interest::Read => POLLIN,
            Interest::ReadAndWrite => POLLIN | POLLOUT,
        };
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.0.remove(fd);
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        let count = poll(&mut self.0.entries, timeout)?;
        let with_events = self.0.entries.iter().filter(|entry| entry.revents != 0);
        ready.extend(with_events.map(|entry| entry.fd).take(count));
        Ok(())
    }
}

pub fn entry(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: POLLIN, revents: 0 }
}

/// Returns the number of ready descriptors. The timeout is cut to whole milliseconds.
pub fn poll(entries: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    let ms = timeout.map_or(-1, |timeout| timeout.as_millis() as c_int);
    // SAFETY: the kernel reads and writes `entries.len()` entries, the whole slice.
    let count = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, ms) };
    count.try_into().map_err(|_| io::Error::last_os_error())
}

/// Like [`poll`], with a timeout in nanoseconds.
pub fn ppoll(entries: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let count = entries.len() as libc::nfds_t;
    // SAFETY: as for poll(2). The kernel also reads the timeout, which lives through the call; there
    // is no signal mask.
    let count = unsafe { libc::ppoll(entries.as_mut_ptr(), count, timeout, ptr::null()) };
    count.try_into().map_err(|_| io::Error::last_os_error())
}
