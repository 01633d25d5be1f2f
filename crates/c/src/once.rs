//! Events that the kernel reports only once.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use libc::{POLLERR, POLLPRI, S_IFMT, S_IFREG, pollfd};
use pollset::PollSet;

/// How often poll(2) is called again. If the file changes meanwhile, a call reports that.
const CALLS: usize = 8;

/// Whether poll(2) doesn't report this result again, as the change of /proc/self/mounts. Such are regular files of
/// the kernel, and report `POLLPRI` or `POLLERR`: others aren't polled again.
pub fn is_reported_once(set: &PollSet, result: pollfd) -> bool {
    if result.revents & (POLLERR | POLLPRI) == 0 || !is_regular_file(&result) {
        return false;
    }
    let Some(interest) = set.interest(result.fd) else { return false };
    let mut again = pollfd { fd: result.fd, events: interest.bits() as i16, revents: 0 };
    // SAFETY: the kernel reads and writes one entry. The number need not be open.
    !(0..CALLS).all(|_| unsafe { libc::poll(&mut again, 1, 0) } == 1)
}

fn is_regular_file(result: &pollfd) -> bool {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel writes one stat, which is read only if it did. The number need not be open.
    unsafe {
        libc::fstat(result.fd, stat.as_mut_ptr()) == 0
            && stat.assume_init().st_mode & S_IFMT == S_IFREG
    }
}
