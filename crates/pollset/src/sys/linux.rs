#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// What a [`Waker`](crate::Waker) is made of: an eventfd.
pub struct Wake(OwnedFd);

impl Wake {
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
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

/// A number that is not 0 and differs between a process and its ancestors.
///
/// The kernel wipes the page that holds it in a forked child (`MADV_WIPEONFORK`, Linux 4.14), so
/// that a fork is noticed without a system call, however it was done.
pub fn process_generation() -> u32 {
    static GENERATION: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    static LAST: AtomicU32 = AtomicU32::new(0);

    match GENERATION.get_or_init(wiped_on_fork) {
        None => rustix::process::getpid().as_raw_nonzero().get() as u32,
        Some(generation) => match generation.load(Relaxed) {
            0 => {
                let new = LAST.fetch_add(1, Relaxed) + 1;
                generation
                    .compare_exchange(0, new, Relaxed, Relaxed)
                    .map_or_else(|g| g, |_| new)
            }
            known => known,
        },
    }
}

/// A word that is 0, and is set to 0 again in every forked child. `None` where the kernel can't.
fn wiped_on_fork() -> Option<&'static AtomicU32> {
    const SIZE: usize = size_of::<AtomicU32>();
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use. It is
    // at least SIZE bytes, aligned to a page and zeroed by the kernel, now and in every forked
    // child. It is never unmapped once a reference is given out, so that may live for ever.
    unsafe {
        let read_write = ProtFlags::READ | ProtFlags::WRITE;
        let word = mmap_anonymous(ptr::null_mut(), SIZE, read_write, MapFlags::PRIVATE).ok()?;
        match madvise(word, SIZE, Advice::LinuxWipeOnFork) {
            Ok(()) => Some(&*word.cast::<AtomicU32>()),
            Err(_) => {
                let _ = munmap(word, SIZE);
                None
            }
        }
    }
}
