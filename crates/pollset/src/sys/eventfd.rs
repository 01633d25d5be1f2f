//! The descriptor of a [`Waker`](crate::Waker) on Linux: an eventfd.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::process_generation;

pub struct Wake(OwnedFd);

impl Wake {
    pub fn new() -> io::Result<Self> {
        let wake = Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let name = name_of(wake.0.as_raw_fd());
        let _ =
            WAKES.iter().find(|place| place.compare_exchange(0, name, Relaxed, Relaxed).is_ok());
        Ok(wake)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub fn set(&self) -> io::Result<()> {
        match rustix::io::write(&self.0, &1u64.to_ne_bytes()) {
            // The counter is full, so it is set.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub fn clear(&self) -> io::Result<()> {
        match rustix::io::read(&self.0, &mut [0; 8]) {
            // It was not set.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let name = name_of(self.0.as_raw_fd());
        let _ =
            WAKES.iter().find(|place| place.compare_exchange(name, 0, Relaxed, Relaxed).is_ok());
    }
}

/// The names of up to 16 open ones. 0: an empty place.
static WAKES: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The number, and the process: a forked child may have closed its copy.
fn name_of(fd: RawFd) -> u64 {
    u64::from(process_generation()) << 32 | u64::from(fd as u32)
}

/// Whether `fd` is one that this process has made. Some are not found.
#[cfg(has_epoll)]
pub fn is_wake(fd: RawFd) -> bool {
    let name = name_of(fd);
    WAKES.iter().any(|place| place.load(Relaxed) == name)
}
