//! Descriptors to watch.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::event::{EventfdFlags, eventfd};

use crate::bare;

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

    pub fn of_eventfds(size: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        let new = |member| eventfd(is_ready(member).into(), EventfdFlags::CLOEXEC);
        let watched = (0..size).map(new).collect::<Result<_, _>>()?;
        Ok(Self { watched, _peers: Vec::new() })
    }

    pub fn numbers(&self) -> impl Iterator<Item = RawFd> {
        self.watched.iter().map(AsRawFd::as_raw_fd)
    }

    pub fn pollfds(&self) -> Vec<libc::pollfd> {
        self.numbers().map(bare::pollfd).collect()
    }
}
