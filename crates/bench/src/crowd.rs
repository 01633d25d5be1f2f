//! Descriptors to watch.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// Connected sockets with nothing to read, but for those that [`say_something`](Self::say_something).
pub struct Crowd(Vec<(UnixStream, UnixStream)>);

impl Crowd {
    pub fn new(size: usize) -> io::Result<Self> {
        (0..size).map(|_| UnixStream::pair()).collect::<Result<_, _>>().map(Self)
    }

    pub fn say_something(&mut self, member: usize) -> io::Result<()> {
        self.0[member].1.write_all(b"!")
    }

    pub fn numbers(&self) -> impl Iterator<Item = RawFd> {
        self.0.iter().map(|(watched, _)| watched.as_raw_fd())
    }

    pub fn pollfds(&self) -> Vec<libc::pollfd> {
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        self.numbers().map(entry).collect()
    }
}
