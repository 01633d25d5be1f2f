//! Opens a path, or checks whether it exists.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Result, bail};
use pollset::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::target::WRITE_EVENTS;
use crate::output;
use crate::usage_error::UsageError;

/// Opens a path without blocking: for reading, writing or both, depending on `events`.
///
/// The inner result is an error if that may work later: the path doesn't exist or may not be opened, a
/// FIFO is to be written to and has no reader, a device is busy, no descriptor is left.
pub fn open(path: &Path, events: PollFlags) -> Result<io::Result<OwnedFd>> {
    let file = OpenOptions::new()
        .read(events.is_empty() || events.intersects(!WRITE_EVENTS))
        .write(events.intersects(WRITE_EVENTS))
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path);
    let error = match file {
        Ok(file) => return Ok(Ok(file.into())),
        Err(error) => error,
    };
    if Errno::from_io_error(&error) == Some(Errno::NXIO) {
        let kind = path.metadata().map(|metadata| metadata.file_type());
        if kind.as_ref().is_ok_and(|kind| kind.is_fifo()) {
            return Ok(Err(io::Error::other("the FIFO has no reader")));
        }
        if kind.is_ok_and(|kind| kind.is_socket()) {
            let path = path.display();
            bail!(UsageError(format!("{path} is a socket: write unix:{path}")));
        }
    }
    if never_works(&error) {
        bail!(UsageError(format!("can't open {}: {}", path.display(), output::text(&error))));
    }
    Ok(Err(error))
}

/// Whether a path exists; a symbolic link exists if its target does.
///
/// The inner result is an error if that can't be found out now.
pub fn exists(path: &Path) -> Result<io::Result<bool>> {
    match path.metadata() {
        Ok(_) => Ok(Ok(true)),
        Err(error) if is_absence(&error) => Ok(Ok(false)),
        Err(error) if never_works(&error) => {
            bail!(UsageError(format!("can't look up {}: {}", path.display(), output::text(&error))))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR))
}

/// Whether the argument itself is wrong.
fn never_works(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ISDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL)
    )
}
