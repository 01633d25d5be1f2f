//! Gets the descriptor of a target: checks an inherited one, opens a path, or connects.

use std::fs::OpenOptions;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use pollset::{PollFlags, PollSet};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::target::WRITE_EVENTS;
use crate::usage_error::UsageError;

/// The error of opening a FIFO for writing without blocking while no process reads it.
const NO_READER: i32 = Errno::NXIO.raw_os_error();
/// The time limit for one address: a host may drop the packets without a reply.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Checks that inherited descriptors are open, and that each is given once.
pub fn check_descriptors(fds: impl Iterator<Item = RawFd>) -> Result<()> {
    let set = PollSet::new();
    for fd in fds {
        if set.contains(fd) {
            bail!(UsageError(format!(
                "descriptor {fd} is given twice; join its events: {fd}:in,out"
            )));
        }
        set.register(fd, PollFlags::empty())?;
    }
    for event in set.poll(Duration::ZERO)? {
        if event.revents.contains(PollFlags::NVAL) {
            let fd = event.fd;
            bail!(UsageError(format!(
                "descriptor {fd} is not open; open it in the shell, as in {fd}<FILE"
            )));
        }
    }
    Ok(())
}

/// Opens a path without blocking: for reading, writing or both, depending on `events`.
///
/// A FIFO can be opened for writing only while a process has it open for reading. Until then, the
/// error is of the kind [`WouldBlock`](io::ErrorKind::WouldBlock).
pub fn open_path(path: &Path, events: PollFlags) -> io::Result<OwnedFd> {
    let file = OpenOptions::new()
        .read(events.is_empty() || events.intersects(!WRITE_EVENTS))
        .write(events.intersects(WRITE_EVENTS))
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path);
    match file {
        Err(error) if error.raw_os_error() == Some(NO_READER) && is_fifo(path) => {
            Err(io::Error::new(io::ErrorKind::WouldBlock, "the FIFO has no reader"))
        }
        file => file.map(OwnedFd::from),
    }
}

fn is_fifo(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Connects to the first of the host's addresses that accepts the connection.
pub fn connect(host: &str, port: u16) -> io::Result<OwnedFd> {
    let mut result = Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    for address in (host, port).to_socket_addrs()? {
        result = connect_to(address);
        if result.is_ok() {
            break;
        }
    }
    result.map(OwnedFd::from)
}

fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    // TCP's simultaneous open: a socket can connect to itself if the kernel gives it, as its local
    // port, the port that it connects to.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}
