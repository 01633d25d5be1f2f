//! Open descriptors for a subject to watch.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;

/// Descriptors, some of which are readable and stay so.
pub struct WatchedFds {
    fds: Vec<OwnedFd>,
    /// Keeps the sockets connected.
    _peers: Vec<UnixStream>,
}

impl WatchedFds {
    pub fn sockets(n: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        let mut fds = Vec::new();
        let mut peers = Vec::new();
        for index in 0..n {
            let (near, mut far) = UnixStream::pair()?;
            if is_ready(index) {
                far.write_all(b"!")?;
            }
            fds.push(near.into());
            peers.push(far);
        }
        Ok(Self { fds, _peers: peers })
    }

    /// Takes one descriptor each, where a socket and its peer take two.
    pub fn eventfds(n: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        let new = |index| eventfd(is_ready(index).into(), EventfdFlags::CLOEXEC);
        let fds = (0..n).map(new).collect::<Result<_, _>>()?;
        Ok(Self { fds, _peers: Vec::new() })
    }

    /// Moves the descriptors to consecutive numbers that end at `highest`. Numbers in use are
    /// skipped.
    pub fn renumbered_up_to(self, highest: RawFd) -> io::Result<Self> {
        let lowest = highest + 1 - self.fds.len() as RawFd;
        let renumber = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, lowest);
        let fds = self.fds.iter().map(renumber).collect::<Result<_, _>>()?;
        Ok(Self { fds, ..self })
    }

    pub fn raw_fds(&self) -> Vec<RawFd> {
        self.fds.iter().map(AsRawFd::as_raw_fd).collect()
    }
}
