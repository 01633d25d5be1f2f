//! Descriptors with a number of their own, and reading and writing until a file is empty or full.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::PoisonError;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;

use super::number::Number;
use super::process::SPAWNING;

/// A reserved descriptor number, and the non-blocking file that is open on it, if any.
pub struct Fd {
    number: Number,
    file: Option<OwnedFd>,
}

impl Fd {
    pub fn new(file: impl Into<OwnedFd>) -> Self {
        let mut fd = Self::closed();
        fd.open(file);
        fd
    }

    /// A descriptor that is not open, and that no other code opens.
    pub fn closed() -> Self {
        Self { number: Number::take(), file: None }
    }

    pub fn number(&self) -> RawFd {
        self.number.get()
    }

    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Opens `file` on this descriptor, and closes the previous file.
    pub fn open(&mut self, file: impl Into<OwnedFd>) {
        self.close();
        let file = file.into();
        let flags = fcntl_getfl(&file).unwrap();
        // Fails for O_PATH descriptors, which have no such flag.
        let _ = fcntl_setfl(&file, flags | OFlags::NONBLOCK);
        self.put(file.as_fd());
    }

    /// Another descriptor of the same file.
    pub fn dup(&self) -> Self {
        let mut dup = Self::closed();
        dup.put(self.as_fd());
        dup
    }

    /// Another descriptor of the same file, without a reserved number.
    pub fn dup_file(&self) -> OwnedFd {
        self.as_fd().try_clone_to_owned().unwrap()
    }

    fn put(&mut self, file: BorrowedFd<'_>) {
        let moved = fcntl_dupfd_cloexec(file, self.number()).unwrap();
        assert_eq!(moved.as_raw_fd(), self.number(), "other code has opened a test's descriptor");
        self.file = Some(moved);
    }

    pub fn close(&mut self) {
        let _no_process_starts = SPAWNING.read().unwrap_or_else(PoisonError::into_inner);
        self.file = None;
    }

    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self, bytes)?)
    }

    /// Makes an eventfd readable.
    pub fn increment(&self) {
        self.write(&1_u64.to_ne_bytes()).unwrap();
    }

    /// See [`write_until_full`].
    pub fn write_until_full(&self) {
        write_until_full(self);
    }

    /// See [`drain`].
    pub fn drain(&self) {
        drain(self);
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        self.close();
    }
}

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.number()
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_ref().expect("the descriptor is open").as_fd()
    }
}

/// How often [`write_until_full`] writes, and [`drain`] reads, at most: some files are never full
/// or empty.
const MAX_TRANSFERS: usize = 64;
const TRANSFER_SIZE: usize = 65_536;

/// Writes to a non-blocking file until it has no more room, at most 4 MiB.
pub fn write_until_full(file: impl AsFd) {
    for _ in 0..MAX_TRANSFERS {
        if rustix::io::write(&file, &[0; TRANSFER_SIZE]).is_err() {
            break;
        }
    }
}

/// Reads from a file until it has no more data, at most 4 MiB. Does nothing if reads could block.
pub fn drain(file: impl AsFd) {
    if fcntl_getfl(&file).is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK)) {
        return;
    }
    let mut buffer = vec![0; TRANSFER_SIZE];
    for _ in 0..MAX_TRANSFERS {
        if !matches!(rustix::io::read(&file, &mut buffer), Ok(1..)) {
            break;
        }
    }
}
