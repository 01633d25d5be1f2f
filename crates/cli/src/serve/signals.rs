//! Makes SIGINT and SIGTERM readable events.

use std::io;
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Handles both signals from now on. Each of them adds one byte to the returned stream.
pub fn stop_signals() -> io::Result<UnixStream> {
    let (stop, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(stop)
}
