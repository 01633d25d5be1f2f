#![allow(unsafe_code)]

//! The unsafe operations: fork, ownership of the set's own descriptors, and memory shared with
//! forked children.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::process::Pid;

use crate::SharedCounts;

/// Forks. Returns `None` in the child, which must end with `run_and_exit`.
pub fn fork() -> Option<Pid> {
    // SAFETY: no other thread holds a lock that the child needs. The threads of a program take the
    // lock of the model first, and the forking thread has it.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: it takes numbers. The child doesn't outlive the thread that forked it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            None
        }
        pid => Some(Pid::from_raw(pid).expect("fork succeeds")),
    }
}

/// Takes ownership of an open descriptor that another object owns.
pub fn take_fd(fd: RawFd) -> OwnedFd {
    // SAFETY: the descriptor is open. Its owner is a set, and what a set does when its descriptor
    // is closed or replaced is under test.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Closes all descriptors from 3 on, as daemons do. Their owners must be forgotten.
pub fn close_all() {
    // SAFETY: it takes numbers.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// Zeroed memory for counts, shared with the children that this process forks later. It is never
/// freed.
pub fn shared_counts() -> &'static SharedCounts {
    let size = size_of::<SharedCounts>();
    let flags = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
    let memory = unsafe { mmap_anonymous(ptr::null_mut(), size, flags, MapFlags::SHARED) };
    let memory = memory.expect("mmap succeeds").cast::<SharedCounts>();
    // SAFETY: it is aligned to a page, large enough, never unmapped, and zeroed, which is a valid
    // state of the atomic integers that make up the type.
    unsafe { &*memory }
}
