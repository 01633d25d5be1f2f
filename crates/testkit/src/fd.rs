use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::PoisonError;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;

use super::number::Number;
use super::process::SPAWNING;

/// A number of its own, and the file that is open on it, if any. Never blocks.
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

    /// A number that is not open, and that nobody else opens.
    pub fn closed() -> Self {
        Self { number: Number::take(), file: None }
    }

    pub fn number(&self) -> RawFd {
        self.number.get()
    }

    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Puts `file` on the number, in place of what was there.
    pub fn open(&mut self, file: impl Into<OwnedFd>) {
        self.close();
        let file = file.into();
        let flags = fcntl_getfl(&file).unwrap();
        // O_PATH descriptors have no such flag.
        let _ = fcntl_setfl(&file, flags | OFlags::NONBLOCK);
        self.put(file.as_fd());
    }

    /// Another number for the same file.
    pub fn dup(&self) -> Self {
        let mut dup = Self::closed();
        dup.put(self.as_fd());
        dup
    }

    /// The file alone, to be put on another number.
    pub fn dup_file(&self) -> OwnedFd {
        self.as_fd().try_clone_to_owned().unwrap()
    }

    fn put(&mut self, file: BorrowedFd<'_>) {
        let moved = fcntl_dupfd_cloexec(file, self.number()).unwrap();
        assert_eq!(moved.as_raw_fd(), self.number(), "somebody took a test's number");
        self.file = Some(moved);
    }

    pub fn close(&mut self) {
        let _nobody_copies_it = SPAWNING.read().unwrap_or_else(PoisonError::into_inner);
        self.file = None;
    }

    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self, bytes)?)
    }

    /// Makes an event counter ready to read.
    pub fn increment(&self) {
        self.write(&1_u64.to_ne_bytes()).unwrap();
    }

    pub fn write_until_full(&self) {
        for _ in 0..64 {
            if self.write(&[0; 65_536]).is_err() {
                break;
            }
        }
    }

    /// Reads until there is no more (or very much).
    pub fn drain(&self) {
        let mut buffer = vec![0; 65_536];
        for _ in 0..64 {
            if !matches!(rustix::io::read(self, &mut buffer), Ok(1..)) {
                break;
            }
        }
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
        self.file.as_ref().expect("it is closed").as_fd()
    }
}
