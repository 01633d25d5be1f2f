//! Toggles the readiness of a file by means special to its kind, other than reading and writing.
//! Most of them wake no waiter.

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
use crate::open_fds::link_target;
use crate::signal;

/// The files that epoll may report wrongly after [`toggle`], because it expects a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affected {
    None,
    /// The file itself.
    File,
    /// All Unix datagram sockets.
    UnixDatagrams,
}

/// Toggles the readiness of a file of one of these kinds. Does nothing to other files.
///
/// | file | change |
/// |---|---|
/// | TCP socket | toggles `SO_OOBINLINE`: urgent data counts as readable, or not |
/// | Unix datagram socket | connects it to its peer among `others`, or disconnects it |
/// | io_uring | fills the submission queue, or submits it |
/// | BPF ring buffer | adds data to read, or removes it |
/// | userfaultfd | toggles `O_NONBLOCK`: poll(2) reports an error if reads may block |
/// | signalfd | sends a signal to this thread, pending until it is read |
/// | message queue | sends a message, or receives it |
pub fn toggle<'a>(file: impl AsFd, others: impl IntoIterator<Item = BorrowedFd<'a>>) -> Affected {
    let file = file.as_fd();
    if is_tcp(file) {
        let _ = socket_oobinline(file).and_then(|is| set_socket_oobinline(file, !is));
        return Affected::File;
    }
    if is_unix_datagram(file) {
        let _ = toggle_peer(file, others);
        return Affected::UnixDatagrams;
    }
    // These may fail, depending on earlier changes to the file.
    let _ = match link_target(file).as_str() {
        "anon_inode:[io_uring]" => kinds::toggle_io_uring(file),
        "anon_inode:bpf-map" => kinds::toggle_bpf_ring_buffer(file),
        "anon_inode:[userfaultfd]" => toggle_blocking(file),
        "anon_inode:[signalfd]" => signal::raise_sigusr2(),
        _ if is_message_queue(file) => toggle_queue(file),
        _ => Ok(()),
    };
    Affected::None
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

/// Connects a socket to the peer that is connected to it, or disconnects it. Reading from it would
/// wake its peers; this does not.
fn toggle_peer<'a>(
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

fn toggle_blocking(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fcntl_setfl(file, fcntl_getfl(file)? ^ OFlags::NONBLOCK)?)
}

fn is_message_queue(file: BorrowedFd<'_>) -> bool {
    const MAGIC: rustix::fs::FsWord = 0x1980_0202;
    fstatfs(file).is_ok_and(|system| system.f_type == MAGIC)
}

fn toggle_queue(queue: BorrowedFd<'_>) -> io::Result<()> {
    let (number, mut message) = (queue.as_raw_fd(), [0_u8; 8]);
    // SAFETY: the message has the given size, the only one that the queues of these tests take, and
    // they don't block.
    let outcome = unsafe {
        match libc::mq_send(number, message.as_ptr().cast(), 8, 0) {
            0 => 0,
            _ => libc::mq_receive(number, message.as_mut_ptr().cast(), 8, std::ptr::null_mut()),
        }
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
