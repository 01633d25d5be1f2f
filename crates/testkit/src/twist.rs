//! What is peculiar to a kind of file: it becomes ready, or stops being so, by other means than
//! reading and writing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstat, fstatfs};
use rustix::net::sockopt::{
    set_socket_oobinline, socket_domain, socket_oobinline, socket_protocol, socket_type,
};
use rustix::net::{
    AddressFamily, SocketType, connect, connect_unspec, getpeername, getsockname, ipproto,
};

use crate::kinds;
use crate::signal;

/// Which files epoll may be wrong about after a twist, since it takes them for what wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    None,
    /// The one that was twisted.
    This,
    /// All Unix datagram sockets.
    Datagrams,
}

/// Twists a file, or undoes that. Does nothing to a kind that has nothing peculiar.
///
/// | | |
/// |---|---|
/// | TCP | urgent data is among the rest, or not |
/// | Unix datagrams | the socket is connected to the one of `others` that is connected to it, or to none |
/// | io_uring | the submission queue is filled, or submitted |
/// | ring of a BPF program | there is something to read, or not |
/// | userfaultfd | reads may block, or not |
/// | signalfd | there is a signal for this thread, until it is read |
/// | message queue | a message is sent, or received |
pub fn twist<'a>(file: impl AsFd, others: impl IntoIterator<Item = BorrowedFd<'a>>) -> Doubt {
    let file = file.as_fd();
    if is_tcp(file) {
        let _ = socket_oobinline(file).and_then(|is| set_socket_oobinline(file, !is));
        return Doubt::This;
    }
    if is_unix_datagram(file) {
        let _ = turn_peer(file, others);
        return Doubt::Datagrams;
    }
    // Which of them fail, depends on what else was done to them.
    let _ = match link(file).as_str() {
        "anon_inode:[io_uring]" => kinds::turn_ring(file),
        "anon_inode:bpf-map" => kinds::turn_kernel_ring(file),
        "anon_inode:[userfaultfd]" => turn_blocking(file),
        "anon_inode:[signalfd]" => signal::raise_blocked(),
        _ if is_message_queue(file) => turn_queue(file),
        _ => Ok(()),
    };
    Doubt::None
}

fn link(file: BorrowedFd<'_>) -> String {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::read_link(path).map_or_else(|_| String::new(), |link| link.display().to_string())
}

pub fn is_tcp(file: impl AsFd) -> bool {
    let file = file.as_fd();
    let families = [AddressFamily::INET, AddressFamily::INET6];
    socket_domain(file).is_ok_and(|family| families.contains(&family))
        && socket_protocol(file).is_ok_and(|protocol| protocol == Some(ipproto::TCP))
}

pub fn is_unix_datagram(file: impl AsFd) -> bool {
    let file = file.as_fd();
    socket_domain(file).is_ok_and(|family| family == AddressFamily::UNIX)
        && socket_type(file).is_ok_and(|kind| kind == SocketType::DGRAM)
}

pub fn is_same_file(one: impl AsFd, other: impl AsFd) -> bool {
    let [one, other] = [fstat(one), fstat(other)].map(Result::unwrap);
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Without reading, which would wake the others.
fn turn_peer<'a>(
    socket: BorrowedFd<'_>,
    others: impl IntoIterator<Item = BorrowedFd<'a>>,
) -> io::Result<()> {
    if getpeername(socket).is_ok() {
        return Ok(connect_unspec(socket)?);
    }
    let own = getsockname(socket)?;
    let is_peer =
        |other: &BorrowedFd<'_>| getpeername(other).is_ok_and(|name| name.as_ref() == Some(&own));
    let peer = others.into_iter().filter(|other| is_unix_datagram(other)).find(is_peer);
    Ok(connect(socket, &getsockname(peer.ok_or(io::ErrorKind::NotConnected)?)?)?)
}

fn turn_blocking(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fcntl_setfl(file, fcntl_getfl(file)? ^ OFlags::NONBLOCK)?)
}

fn is_message_queue(file: BorrowedFd<'_>) -> bool {
    const MAGIC: rustix::fs::FsWord = 0x1980_0202;
    fstatfs(file).is_ok_and(|system| system.f_type == MAGIC)
}

fn turn_queue(queue: BorrowedFd<'_>) -> io::Result<()> {
    let (number, mut message) = (queue.as_raw_fd(), [0_u8; 8]);
    // SAFETY: the message has the size that is given, and a queue of these tests takes no other. The
    // queue doesn't block.
    let outcome = unsafe {
        match libc::mq_send(number, message.as_ptr().cast(), 8, 0) {
            0 => 0,
            _ => libc::mq_receive(number, message.as_mut_ptr().cast(), 8, std::ptr::null_mut()),
        }
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
