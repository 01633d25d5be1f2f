//! The kernel's names of open files.

use std::ffi::CStr;
use std::io::Write;
use std::os::fd::RawFd;

use rustix::fs::{CWD, readlinkat_raw};

pub const EVENTFD: &[u8] = b"anon_inode:[eventfd]";

/// The start of the name of a file.
pub struct FileName {
    bytes: [u8; 32],
    length: usize,
}

impl FileName {
    /// Takes a few microseconds. `None` if `fd` is not open, or where there is no `/proc`.
    pub fn of(fd: RawFd) -> Option<Self> {
        let mut path = [0; 40];
        // The thread may have a table of descriptors of its own.
        write!(&mut path[..], "/proc/thread-self/fd/{fd}\0").ok()?;
        let path = CStr::from_bytes_until_nul(&path).ok()?;
        let mut bytes = [0; 32];
        let length = readlinkat_raw(CWD, path, &mut bytes).ok()?;
        Some(Self { bytes, length })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
