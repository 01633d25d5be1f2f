//! Getting a descriptor for a target.

use std::fs::OpenOptions;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use pollset::{PollFlags, Waker};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::target::WRITING;

/// What the system answers then.
const NO_READER: i32 = Errno::NXIO.raw_os_error();
/// Between two attempts.
const RETRY: Duration = Duration::from_millis(100);
/// For one address, which may never answer.
const CONNECT: Duration = Duration::from_secs(3);

/// How an attempt at a target, given by its number, has ended.
pub type Answer = (usize, io::Result<OwnedFd>);

/// Opens a path without waiting, for reading, writing or both, as the events ask.
///
/// A FIFO can be opened for writing only while somebody reads from it: until then, the error is of
/// the kind [`WouldBlock`](io::ErrorKind::WouldBlock).
pub fn open(path: &Path, events: PollFlags) -> io::Result<OwnedFd> {
    let file = OpenOptions::new()
        .read(events.is_empty() || events.intersects(!WRITING))
        .write(events.intersects(WRITING))
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path);
    match file {
        Err(error) if error.raw_os_error() == Some(NO_READER) && is_fifo(path) => {
            Err(io::Error::new(io::ErrorKind::WouldBlock, "nobody reads from it"))
        }
        file => file.map(OwnedFd::from),
    }
}

fn is_fifo(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Connects to the first of the host's addresses that takes it.
pub fn connect(host: &str, port: u16) -> io::Result<OwnedFd> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    for address in (host, port).to_socket_addrs()? {
        outcome = connect_to(address);
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map(OwnedFd::from)
}

fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    // A connection to a free local port can meet itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// Attempts to open a target until that works, in a thread. Each answer is sent, and the waker
/// woken.
pub fn keep_trying(
    number: usize,
    attempt: impl Fn() -> io::Result<OwnedFd> + Send + 'static,
    answers: Sender<Answer>,
    waker: Arc<Waker>,
) -> io::Result<()> {
    let attempts = move || {
        loop {
            let answer = attempt();
            let done = answer.is_ok();
            if answers.send((number, answer)).is_err() || waker.wake().is_err() || done {
                return;
            }
            thread::sleep(RETRY);
        }
    };
    thread::Builder::new().spawn(attempts).map(drop)
}
