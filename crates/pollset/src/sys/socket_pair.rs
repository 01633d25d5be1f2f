//! The descriptor of a [`Waker`](crate::Waker) on other systems: a pair of sockets. (std::io::pipe
//! needs a later Rust.)

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;

#[cfg(feature = "bindings")]
use super::duplicate::duplicate_to;

pub struct Wake {
    reader: UnixStream,
    writer: UnixStream,
}

impl Wake {
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Self { reader, writer })
    }

    /// New sockets under the same numbers.
    #[cfg(feature = "bindings")]
    pub fn renew(&self) -> io::Result<()> {
        let new = Self::new()?;
        duplicate_to(new.reader.into(), self.reader.as_fd())?;
        duplicate_to(new.writer.into(), self.writer.as_fd())
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub fn set(&self) -> io::Result<()> {
        match rustix::io::write(&self.writer, &[1]) {
            // The buffer is full, so it is set.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub fn clear(&self) -> io::Result<()> {
        let mut buffer = [0; 512];
        loop {
            match rustix::io::read(&self.reader, &mut buffer) {
                Ok(count) if count == buffer.len() => {}
                // Read empty, or it was not set.
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
