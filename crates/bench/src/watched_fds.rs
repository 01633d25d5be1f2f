//! Open descriptors for a subject to watch.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{fcntl_dupfd_cloexec, read, write};
use rustix::net::sockopt::set_socket_linger;

/// Descriptors, some of which are readable and stay so.
pub struct WatchedFds {
    fds: Vec<OwnedFd>,
    /// The other ends of the sockets, in the same order. Eventfds have none.
    peers: Vec<OwnedFd>,
}

impl WatchedFds {
    pub fn sockets(n: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        Self::pairs(n, is_ready, || {
            let (near, far) = UnixStream::pair()?;
            Ok((near.into(), far.into()))
        })
    }

    /// Connections over the loopback interface.
    pub fn tcp_sockets(n: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Self::pairs(n, is_ready, || {
            let far = TcpStream::connect(address)?;
            let (near, _) = listener.accept()?;
            // Closed by a reset, a connection occupies no port in the state TIME_WAIT.
            set_socket_linger(&near, Some(Duration::ZERO))?;
            set_socket_linger(&far, Some(Duration::ZERO))?;
            Ok((near.into(), far.into()))
        })
    }

    fn pairs(
        n: usize,
        is_ready: impl Fn(usize) -> bool,
        pair: impl Fn() -> io::Result<(OwnedFd, OwnedFd)>,
    ) -> io::Result<Self> {
        let (mut fds, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let (near, far) = pair()?;
            fds.push(near);
            peers.push(far);
        }
        let pairs = Self { fds, peers };
        (0..n).filter(|&index| is_ready(index)).try_for_each(|index| pairs.make_ready(index))?;
        Ok(pairs)
    }

    /// Makes a socket readable by a byte from its peer.
    pub fn make_ready(&self, index: usize) -> io::Result<()> {
        write(&self.peers[index], b"!")?;
        // A byte over the loopback interface can arrive after the write has returned.
        poll(&mut [PollFd::new(&self.fds[index], PollFlags::IN)], None)?;
        Ok(())
    }

    /// Reads the byte from a socket that is ready.
    pub fn make_idle(&self, index: usize) -> io::Result<()> {
        read(&self.fds[index], &mut [0; 1])?;
        Ok(())
    }

    /// Takes one descriptor each, where a socket and its peer take two.
    pub fn eventfds(n: usize, is_ready: impl Fn(usize) -> bool) -> io::Result<Self> {
        let new = |index| eventfd(is_ready(index).into(), EventfdFlags::CLOEXEC);
        let fds = (0..n).map(new).collect::<Result<_, _>>()?;
        Ok(Self { fds, peers: Vec::new() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pollers::{EventLoop, Subject};

    fn number_ready(fds: &WatchedFds) -> usize {
        let mut event_loop = EventLoop::watching(Subject::Poll, &fds.raw_fds()).unwrap();
        event_loop.wait_and_rearm(Some(Duration::ZERO))
    }

    #[test]
    fn those_with_the_given_indices_are_ready() -> io::Result<()> {
        let is_ready = |index| index % 2 == 0;
        for create in [WatchedFds::eventfds, WatchedFds::sockets, WatchedFds::tcp_sockets] {
            assert_eq!(number_ready(&create(5, is_ready)?), 3);
        }
        Ok(())
    }

    #[test]
    fn a_socket_can_become_ready_and_idle_again() -> io::Result<()> {
        for create in [WatchedFds::sockets, WatchedFds::tcp_sockets] {
            let fds = create(3, |_| false)?;
            fds.make_ready(1)?;
            assert_eq!(number_ready(&fds), 1);
            fds.make_idle(1)?;
            assert_eq!(number_ready(&fds), 0);
        }
        Ok(())
    }
}
