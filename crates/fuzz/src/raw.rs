#![allow(unsafe_code)]

//! What has no safe form: forks, numbers that belong to somebody else, and memory that forked
//! children share.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::process::Pid;

use crate::SharedCounts;

/// `None` in the child, which ends with [`exit`].
pub fn fork() -> Option<Pid> {
    // SAFETY: it is done where no other thread holds a lock that the child needs: those of a
    // program take one that is the program's, and the thread that forks has that.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: it takes numbers. The child doesn't outlive the thread that forked it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            None
        }
        pid => Some(Pid::from_raw(pid).expect("it forks")),
    }
}

/// Ends a forked child, without what its parent has registered for its own end.
pub fn exit(status: i32) -> ! {
    // SAFETY: it ends the process.
    unsafe { libc::_exit(status) }
}

/// Kills this process if it takes longer than so many seconds.
pub fn end_after(seconds: u32) {
    // SAFETY: it takes a number. The signal ends the process.
    unsafe { libc::alarm(seconds) };
}

/// Takes over a number from whoever opened it.
pub fn seize(number: RawFd) -> OwnedFd {
    // SAFETY: it is open. Whose it was has to cope: that is what is tried.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Closes all numbers from 3 on, as daemons do. What owned them must be forgotten.
pub fn close_all() {
    // SAFETY: it takes numbers.
    unsafe { libc::close_range(3, u32::MAX, 0) };
}

/// Memory for counts that this process shares with the children it will fork. It is never freed.
pub fn shared_counts() -> &'static SharedCounts {
    let size = size_of::<SharedCounts>();
    let flags = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
    let memory = unsafe { mmap_anonymous(ptr::null_mut(), size, flags, MapFlags::SHARED) };
    let memory = memory.expect("there is memory").cast::<SharedCounts>();
    // SAFETY: it is aligned to a page, large enough, never unmapped, and zeroed, which is valid for
    // atomic integers, of which it consists.
    unsafe { &*memory }
}
