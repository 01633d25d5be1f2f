//! Files with a name: devices, what the kernel shows as files, and paths that are not opened.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use crate::fd::Fd;

/// For what must not be written to.
pub fn to_read(path: &str) -> io::Result<Fd> {
    Ok(Fd::new(File::open(path)?))
}

fn try_device(path: &str) -> io::Result<Fd> {
    Ok(Fd::new(File::options().read(true).write(true).open(path)?))
}

/// A network interface that is not there yet.
pub fn tunnel() -> io::Result<Fd> {
    try_device("/dev/net/tun")
}

/// A file system that is not there yet.
pub fn file_server() -> io::Result<Fd> {
    try_device("/dev/fuse")
}

/// Full from the start, like `/dev/null` otherwise.
pub fn full_device() -> io::Result<Fd> {
    try_device("/dev/full")
}

fn path_only(path: &Path) -> io::Result<Fd> {
    Ok(Fd::new(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?))
}

/// Not open for poll(2), although it has a number.
pub fn path_of_file() -> io::Result<Fd> {
    path_only(Path::new("/"))
}

pub fn path_of_socket() -> io::Result<Fd> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("socket");
    let _socket = UnixDatagram::bind(&path)?;
    path_only(&path)
}
