#![allow(unsafe_code)]

//! Signal masks.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use libc::{c_int, sigset_t};

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SignalSet(sigset_t);

impl SignalSet {
    pub fn empty() -> Self {
        // Zeroed first: sigemptyset(3) may write only the part that the kernel uses.
        let mut set = MaybeUninit::zeroed();
        // SAFETY: a sigset_t is integers only, for which zero is valid.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    #[cfg(feature = "bindings")]
    pub fn from_system(mask: sigset_t) -> Self {
        Self(mask)
    }

    fn full() -> Self {
        let mut set = Self::empty();
        // SAFETY: the call changes the set.
        unsafe { libc::sigfillset(&mut set.0) };
        set
    }

    pub fn insert(&mut self, signal: c_int) -> io::Result<()> {
        // SAFETY: the call changes the set, and refuses numbers that are no signals.
        check(unsafe { libc::sigaddset(&mut self.0, signal) })
    }

    pub fn remove(&mut self, signal: c_int) -> io::Result<()> {
        // SAFETY: the call changes the set, and refuses numbers that are no signals.
        check(unsafe { libc::sigdelset(&mut self.0, signal) })
    }

    pub fn contains(&self, signal: c_int) -> bool {
        // SAFETY: the call reads the set, and refuses numbers that are no signals.
        unsafe { libc::sigismember(&self.0, signal) == 1 }
    }

    /// For system calls that read it.
    pub fn as_ptr(&self) -> *const sigset_t {
        &self.0
    }
}

fn check(status: c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The mask of the calling thread.
pub fn thread_mask() -> SignalSet {
    let mut mask = SignalSet::empty();
    // SAFETY: the call writes the mask of the thread to `mask`; without a new set it changes nothing,
    // and can't fail.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), &mut mask.0) };
    mask
}

/// Sets the mask of the calling thread.
pub fn set_thread_mask(mask: &SignalSet) {
    // SAFETY: the call reads the set. It fails only for an unknown first argument.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask.as_ptr(), ptr::null_mut()) };
}

/// Blocks all signals in the calling thread until it is dropped.
pub struct AllBlocked {
    before: SignalSet,
}

impl AllBlocked {
    pub fn new() -> Self {
        let before = thread_mask();
        set_thread_mask(&SignalSet::full());
        Self { before }
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        set_thread_mask(&self.before);
    }
}
