#![allow(unsafe_code)]

//! Gives an open number another file.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libc::c_int;

/// Makes the number `old` refer to the file of `new`. Closed on exec.
pub fn duplicate_to(new: OwnedFd, old: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        let outcome = duplicate(new.as_raw_fd(), old.as_raw_fd());
        let error = io::Error::last_os_error();
        match outcome {
            -1 if error.kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(error),
            _ => return Ok(()),
        }
    }
}

#[cfg(is_linux)]
fn duplicate(new: c_int, old: c_int) -> c_int {
    // SAFETY: the kernel closes the file of `old`, a number that the caller has borrowed from its owner,
    // and touches no memory.
    unsafe { libc::dup3(new, old, libc::O_CLOEXEC) }
}

#[cfg(not(is_linux))]
fn duplicate(new: c_int, old: c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        match libc::dup2(new, old) {
            -1 => -1,
            _ => libc::fcntl(old, libc::F_SETFD, libc::FD_CLOEXEC),
        }
    }
}
