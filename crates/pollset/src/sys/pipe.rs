//! The descriptor of a [`Waker`](crate::Waker) on other systems: a pipe.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

pub struct Wake {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Wake {
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        for end in [reader.as_fd(), writer.as_fd()] {
            fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { reader, writer })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub fn set(&self) -> io::Result<()> {
        match rustix::io::write(&self.writer, &[1]) {
            // The pipe is full, so it is set.
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
