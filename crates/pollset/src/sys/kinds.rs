#![allow(unsafe_code)]

//! The kinds of files for which epoll(7) is reliable.
//!
//! epoll polls a file when its entry is added, and again only after the file has woken its waiters.
//! poll(2) polls it in each call. So epoll reports what poll(2) reports only for files with four
//! properties:
//!
//! 1. *They have a wait queue from the start.* `/dev/net/tun` has none before `TUNSETIFF`, and
//!    `/dev/fuse` none before it is mounted: nothing wakes an entry that was added before.
//! 2. *They wake their waiters whenever they become ready.* An io_uring doesn't when its full queue
//!    is submitted, a userfaultfd when `O_NONBLOCK` is cleared, a terminal when output drains, nor
//!    does any file whose state is in memory that it shares with the process (rings of packet
//!    sockets and of AF_XDP, BPF ring buffers).
//! 3. *Their readiness is the same for every thread.* The readiness of a signalfd is that of the
//!    polling thread. If it is not ready for another thread that polls, epoll drops it from its
//!    ready list.
//! 4. *Polling changes nothing.* Perf events, `/proc/self/mounts`, files of sysfs and RDS sockets
//!    report an event once, and so does an epoll instance that has an entry for one of them. epoll
//!    polls when an entry is added, and again whenever its buffer was too small.
//!
//! A list of the files without these properties would always be one file short. This is the list of
//! those that have 1, 3 and 4 always, and 2 in all ordinary use, according to the kernel's source
//! and to tests beside poll(2). All others are left to poll(2).
//!
//! Known exceptions to 2, which comparing finds: TCP, when `SO_OOBINLINE` is set after the urgent
//! byte has come, when `SO_RCVBUF` is made smaller than `SO_RCVLOWAT` needs, and under
//! `TCP_REPAIR`; a Unix datagram socket, when a full peer connects to it; a full pipe that is spliced
//! to `/dev/fuse`; an eventfd that the kernel signals beyond its maximum, with a mask without `IN`.

use std::os::fd::RawFd;

use libc::{c_int, c_void, socklen_t};

use super::file_name::{EVENTFD, FileName};
use super::wake::is_wake;

/// Whether `fd` is of a kind for which epoll is known to be reliable. False if it is not open.
pub fn epoll_is_reliable_for(fd: RawFd) -> bool {
    if is_wake(fd) {
        return true;
    }
    match socket_option(fd, libc::SO_DOMAIN) {
        Some(libc::AF_UNIX | libc::AF_NETLINK) => true,
        Some(libc::AF_INET | libc::AF_INET6) => socket_option(fd, libc::SO_PROTOCOL)
            .is_some_and(|protocol| PROTOCOLS.contains(&protocol)),
        Some(_) => false,
        None => match type_of_file(fd) {
            Some(libc::S_IFIFO) => true,
            // Files without an inode of their own have no type.
            Some(0) => FileName::of(fd).is_some_and(|name| NAMES.contains(&name.as_bytes())),
            _ => false,
        },
    }
}

fn type_of_file(fd: RawFd) -> Option<libc::mode_t> {
    // SAFETY: a stat is integers only, for which zero is valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one stat, which lives through the call; the number need not be open.
    let outcome = unsafe { libc::fstat(fd, &mut stat) };
    (outcome == 0).then_some(stat.st_mode & libc::S_IFMT)
}

/// The protocols of Internet sockets that have `tcp_poll` or `datagram_poll` in the kernel, and wake
/// their waiters accordingly.
const PROTOCOLS: [c_int; 5] = [
    libc::IPPROTO_TCP,
    libc::IPPROTO_UDP,
    libc::IPPROTO_UDPLITE,
    libc::IPPROTO_ICMP,
    libc::IPPROTO_ICMPV6,
];

/// `None` if `fd` is not a socket.
fn socket_option(fd: RawFd, option: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `value`, and their number to `length`; both
    // live through the call. The number need not be a socket.
    let outcome = unsafe {
        let value = (&raw mut value).cast::<c_void>();
        libc::getsockopt(fd, libc::SOL_SOCKET, option, value, &mut length)
    };
    (outcome == 0).then_some(value)
}

/// The kernel's names of anonymous files.
const NAMES: [&[u8]; 5] = [
    EVENTFD,
    b"anon_inode:[timerfd]",
    b"anon_inode:inotify",
    b"anon_inode:[fanotify]",
    b"anon_inode:[pidfd]",
];

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use rustix::event::{EventfdFlags, epoll, eventfd};
    use rustix::fs::inotify;
    use rustix::process::{PidfdFlags, getpid, pidfd_open};

    use super::*;
    use crate::Waker;

    #[track_caller]
    fn check(file: impl Into<OwnedFd>, is_reliable: bool) {
        let file = file.into();
        assert_eq!(epoll_is_reliable_for(file.as_raw_fd()), is_reliable);
    }

    #[test]
    fn sockets_pipes_and_some_anonymous_files_are_reliable() {
        check(TcpListener::bind("127.0.0.1:0").unwrap(), true);
        check(UdpSocket::bind("127.0.0.1:0").unwrap(), true);
        check(UnixStream::pair().unwrap().0, true);
        check(UnixDatagram::unbound().unwrap(), true);
        check(std::io::pipe().unwrap().0, true);
        check(eventfd(0, EventfdFlags::CLOEXEC).unwrap(), true);
        check(pidfd_open(getpid(), PidfdFlags::empty()).unwrap(), true);
        // A user may have few of them.
        if let Ok(inotify) = inotify::init(inotify::CreateFlags::CLOEXEC) {
            check(inotify, true);
        }
    }

    #[test]
    fn other_files_are_not() {
        for path in ["/dev/null", "/proc/self/mounts", "/", "/dev/urandom"] {
            check(File::open(path).unwrap(), false);
        }
        check(epoll::create(epoll::CreateFlags::CLOEXEC).unwrap(), false);
        assert!(!epoll_is_reliable_for(1 << 30), "it is not open");
    }

    #[test]
    fn a_waker_is_recognized_until_it_is_dropped() {
        let wakers: Vec<_> = (0..40).map(|_| Waker::new().unwrap()).collect();
        let numbers: Vec<_> = wakers.iter().map(Waker::as_raw_fd).collect();
        // Those beyond the places of the table are found out by their names.
        assert!(numbers.iter().all(|&fd| epoll_is_reliable_for(fd)));
        assert!(numbers.iter().any(|&fd| is_wake(fd)));
        drop(wakers);
        assert!(!numbers.iter().any(|&fd| is_wake(fd)));
    }
}
