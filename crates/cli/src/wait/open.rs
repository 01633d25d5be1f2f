//! Getting a descriptor for a target.

use std::fs::OpenOptions;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
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

use super::target::{Source, Target};

/// What the system answers then.
const NO_READER: i32 = Errno::NXIO.raw_os_error();
/// Between two attempts.
const RETRY: Duration = Duration::from_millis(100);
/// For one address, which may never answer.
const CONNECT: Duration = Duration::from_secs(3);

/// Opens a path without waiting, for reading, writing or both, as the events ask.
///
/// A FIFO can be opened for writing only while somebody reads from it: until then, the error is of
/// the kind [`WouldBlock`](io::ErrorKind::WouldBlock).
pub fn open(path: &Path, events: PollFlags) -> io::Result<OwnedFd> {
    let writes = PollFlags::OUT | PollFlags::WRNORM | PollFlags::WRBAND;
    let file = OpenOptions::new()
        .read(events.is_empty() || events.intersects(!writes))
        .write(events.intersects(writes))
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path);
    match file {
        Err(error) if error.raw_os_error() == Some(NO_READER) && is_fifo(path) => Err(
            io::Error::new(io::ErrorKind::WouldBlock, "nobody reads from it"),
        ),
        file => file.map(OwnedFd::from),
    }
}

fn is_fifo(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Tries until the target is open, and sends it; each failure is sent, too. Wakes for both.
pub fn keep_trying(
    number: usize,
    target: &Target,
    answers: Sender<(usize, io::Result<OwnedFd>)>,
    waker: Arc<Waker>,
) {
    let source = target.source.clone();
    let events = target.events;
    thread::spawn(move || {
        loop {
            let answer = match &source {
                Source::Path(path) => open(path, events),
                Source::Tcp { host, port } => connect(host, *port),
                Source::Descriptor(_) => return,
            };
            let done = answer.is_ok();
            if answers.send((number, answer)).is_err() || waker.wake().is_err() || done {
                return;
            }
            thread::sleep(RETRY);
        }
    });
}

fn connect(host: &str, port: u16) -> io::Result<OwnedFd> {
    let mut outcome = Err(io::Error::new(
        io::ErrorKind::NotFound,
        "the host has no address",
    ));
    for address in (host, port).to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, CONNECT);
        if let Ok(stream) = &outcome {
            // A connection to a free local port can meet itself.
            if stream.local_addr()? != stream.peer_addr()? {
                break;
            }
            outcome = Err(io::ErrorKind::ConnectionRefused.into());
        }
    }
    outcome.map(OwnedFd::from)
}
