//! Files that report an event only once.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use libc::{POLLERR, S_IFMT, S_IFREG, pollfd};

/// Whether this result is of a file that reports the event only once: the regular files of the kernel, such as
/// /proc/self/mounts, report a change with `POLLERR`, which other regular files never do.
pub fn is_reported_once(result: pollfd) -> bool {
    result.revents & POLLERR != 0 && is_regular_file(result)
}

fn is_regular_file(result: pollfd) -> bool {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel writes one stat, which is read only if it did. The number need not be open.
    unsafe {
        libc::fstat(result.fd, stat.as_mut_ptr()) == 0
            && stat.assume_init().st_mode & S_IFMT == S_IFREG
    }
}
