#![allow(unsafe_code)]

//! The generation of a process: a number by which a forked child differs from its ancestors.
//!
//! The kernel wipes the word that holds it in a forked child (`MADV_WIPEONFORK`, Linux 4.14). So a
//! fork is noticed without a system call, whichever way it was made. No thread waits for another
//! one here: that one might not exist in a child.

use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicPtr, AtomicU32};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A number that is not 0 and differs between a process and its ancestors.
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
/// What `WORD` points to where the kernel wipes nothing. It stays 0.
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
                    // SAFETY: the mapping was made above, and its address was not published.
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
        // An emulator that accepts any advice and ignores it would not wipe.
        let accepts_any = libc::madvise(word, WORD_SIZE, -1) == 0;
        if accepts_any || libc::madvise(word, WORD_SIZE, libc::MADV_WIPEONFORK) != 0 {
            let _ = munmap(word, WORD_SIZE);
            return None;
        }
        Some(word.cast())
    }
}
