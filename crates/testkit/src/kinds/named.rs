//! Files with a path: devices, /proc and /sys, and O_PATH descriptors.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use crate::fd::Fd;

/// Opens a file for reading only, because writing to it could do harm.
pub fn read_only(path: &str) -> io::Result<Fd> {
    Ok(Fd::new(File::open(path)?))
}

fn try_device(path: &str) -> io::Result<Fd> {
    Ok(Fd::new(File::options().read(true).write(true).open(path)?))
}

/// `/dev/net/tun`, not yet attached to an interface.
pub fn dev_tun() -> io::Result<Fd> {
    try_device("/dev/net/tun")
}

/// `/dev/fuse`, not yet attached to a file system.
pub fn dev_fuse() -> io::Result<Fd> {
    try_device("/dev/fuse")
}

/// `/dev/full`: writes fail, otherwise like `/dev/null`.
pub fn dev_full() -> io::Result<Fd> {
    try_device("/dev/full")
}

fn o_path(path: &Path) -> io::Result<Fd> {
    Ok(Fd::new(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?))
}

/// An O_PATH descriptor, which is not open for poll(2).
pub fn o_path_file() -> io::Result<Fd> {
    o_path(Path::new("/"))
}

pub fn o_path_socket() -> io::Result<Fd> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("socket");
    let _socket = UnixDatagram::bind(&path)?;
    o_path(&path)
}
