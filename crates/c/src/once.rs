//! Events that the kernel reports only once.

#![allow(unsafe_code)]

use libc::{POLLERR, POLLPRI, pollfd};
use pollset::PollSet;

/// Whether poll(2) doesn't report this result again, as the change of /proc/self/mounts. Such files report
/// `POLLPRI` or `POLLERR`: others aren't looked at.
pub fn is_reported_once(set: &PollSet, result: pollfd) -> bool {
    if result.revents & (POLLERR | POLLPRI) == 0 {
        return false;
    }
    let Some(interest) = set.interest(result.fd) else { return false };
    let mut again = pollfd { fd: result.fd, events: interest.bits() as i16, revents: 0 };
    // If the file has changed once more by now, the first call reports that, and the second one nothing.
    // SAFETY: the kernel reads and writes one entry. The number need not be open.
    !(0..2).all(|_| unsafe { libc::poll(&mut again, 1, 0) } == 1)
}
