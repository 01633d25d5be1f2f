//! Descriptors to watch.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;

/// Some of them readable, for good.
pub struct Crowd {
    watched: Vec<OwnedFd>,
    /// What keeps sockets connected.
    _peers: Vec<UnixStream>,
}

impl Crowd {
    pub fn of_sockets(size: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        let mut watched = Vec::new();
        let mut peers = Vec::new();
        for member in 0..size {
            let (near, mut far) = UnixStream::pair()?;
            if is_ready(member) {
                far.write_all(b"!")?;
            }
            watched.push(near.into());
            peers.push(far);
        }
        Ok(Self { watched, _peers: peers })
    }

    /// One descriptor each, where a socket and its peer would be two.
    pub fn of_eventfds(size: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        let new = |member| eventfd(is_ready(member).into(), EventfdFlags::CLOEXEC);
        let watched = (0..size).map(new).collect::<Result<_, _>>()?;
        Ok(Self { watched, _peers: Vec::new() })
    }

    /// Renumbered: the highest is this one, where numbers were free, and the others are just below.
    pub fn up_to(self, highest: RawFd) -> io::Result<Self> {
        let lowest = highest + 1 - self.watched.len() as RawFd;
        let renumber = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, lowest);
        let watched = self.watched.iter().map(renumber).collect::<Result<_, _>>()?;
        Ok(Self { watched, ..self })
    }

    pub fn numbers(&self) -> Vec<RawFd> {
        self.watched.iter().map(AsRawFd::as_raw_fd).collect()
    }
}
