//! The descriptor of a [`Waker`](crate::Waker) on Linux: an eventfd.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

#[cfg(feature = "bindings")]
use super::duplicate::duplicate_to;
#[cfg(feature = "bindings")]
use super::file_name::{EVENTFD, FileName};
use super::process_generation;

pub struct Wake(OwnedFd);

impl Wake {
    pub fn new() -> io::Result<Self> {
        let wake = Self(new_eventfd()?);
        replace_name(0, name_of(wake.0.as_raw_fd()));
        Ok(wake)
    }

    /// A new one under the same number, unless the program has closed the old one: the number may be that of
    /// another file by now.
    #[cfg(feature = "bindings")]
    pub fn renew(&self) -> io::Result<()> {
        let name = FileName::of(self.0.as_raw_fd());
        if name.is_some_and(|name| name.as_bytes() != EVENTFD) {
            return Err(Errno::BADF.into());
        }
        duplicate_to(new_eventfd()?, self.fd())?;
        replace_name(0, name_of(self.0.as_raw_fd()));
        Ok(())
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
        replace_name(name_of(self.0.as_raw_fd()), 0);
    }
}

fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// The names of up to 16 open ones. 0: an empty place. In a forked child, those of its ancestors keep their
/// places.
static WAKES: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

fn replace_name(old: u64, new: u64) {
    let is_replaced =
        |place: &AtomicU64| place.compare_exchange(old, new, Relaxed, Relaxed).is_ok();
    let _ = WAKES.iter().find(|place| is_replaced(place));
}

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
