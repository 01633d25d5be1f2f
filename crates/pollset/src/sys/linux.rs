#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// What a [`Waker`](crate::Waker) is made of: an eventfd.
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

/// The names of those that are open in this process, or of as many as there are places. 0: none.
static WAKES: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The number, and the process: a forked child may have closed it.
fn name_of(fd: RawFd) -> u64 {
    u64::from(process_generation()) << 32 | u64::from(fd as u32)
}

/// Whether `fd` is known to be a [`Wake`] that this process has made.
pub fn is_wake(fd: RawFd) -> bool {
    let name = name_of(fd);
    WAKES.iter().any(|place| place.load(Relaxed) == name)
}

/// A number that is not 0 and differs between a process and its ancestors.
///
/// The kernel wipes the word that holds it in a forked child (`MADV_WIPEONFORK`, Linux 4.14), so
/// that a fork is noticed without a system call, however it was done. Nothing here waits for
/// another thread, which may not exist in a child.
#[inline]
pub fn process_generation() -> u32 {
    // SAFETY: it points to `UNUSED` or `NONE`, or to a mapping made below, which is large and
    // aligned enough, zeroed by the kernel and never unmapped once it is published.
    match unsafe { &*WORD.load(Acquire) }.load(Relaxed) {
        0 => first_process_generation(),
        generation => generation,
    }
}

/// A word that is 0 at first, and again in every forked child.
static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new((&raw const UNUSED).cast_mut());
/// What `WORD` points to before its first use. It stays 0.
static UNUSED: AtomicU32 = AtomicU32::new(0);
/// What `WORD` points to where the kernel has no such word to give. It stays 0.
static NONE: AtomicU32 = AtomicU32::new(0);

#[cold]
fn first_process_generation() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);

    let word = word_wiped_on_fork();
    if ptr::eq(word, &NONE) {
        return rustix::process::getpid().as_raw_nonzero().get() as u32;
    }
    let new = NEXT.fetch_add(1, Relaxed);
    word.compare_exchange(0, new, Relaxed, Relaxed).map_or_else(|known| known, |_| new)
}

fn word_wiped_on_fork() -> &'static AtomicU32 {
    let [unused, none] = [&raw const UNUSED, &raw const NONE].map(<*const _>::cast_mut);
    let mut word = WORD.load(Acquire);
    if word == unused {
        let new = map_wiped_on_fork().unwrap_or(none);
        word = match WORD.compare_exchange(unused, new, AcqRel, Acquire) {
            Ok(_) => new,
            Err(first) => {
                if new != none {
                    // SAFETY: the mapping is whole, and nobody else has learnt of it.
                    let _ = unsafe { munmap(new.cast(), WORD_SIZE) };
                }
                first
            }
        };
    }
    // SAFETY: as in `process_generation`.
    unsafe { &*word }
}

const WORD_SIZE: usize = size_of::<AtomicU32>();

fn map_wiped_on_fork() -> Option<*mut AtomicU32> {
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use; the
    // advice, and the end of the mapping, concern that mapping only.
    unsafe {
        let read_write = ProtFlags::READ | ProtFlags::WRITE;
        let word =
            mmap_anonymous(ptr::null_mut(), WORD_SIZE, read_write, MapFlags::PRIVATE).ok()?;
        // Emulators that take any advice and follow none would not wipe.
        let takes_any = libc::madvise(word, WORD_SIZE, -1) == 0;
        if takes_any || libc::madvise(word, WORD_SIZE, libc::MADV_WIPEONFORK) != 0 {
            let _ = munmap(word, WORD_SIZE);
            return None;
        }
        Some(word.cast())
    }
}
