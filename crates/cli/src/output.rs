//! Writes to standard output and standard error, which may be full disks or closed pipes.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes a line to standard error, and ignores errors.
pub fn write_stderr(line: impl Display) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes whole lines to standard output.
pub fn write_stdout(lines: &[u8]) -> io::Result<()> {
    io::stdout().write_all(lines).map_err(|error| {
        let message = format!("can't write to standard output: {error}");
        io::Error::new(error.kind(), message)
    })
}

/// Writes whole lines to standard output, and reports a failure on standard error. Returns whether
/// that worked; a pipe without a reader counts as success.
pub fn print(lines: &str) -> bool {
    match write_stdout(lines.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            write_stderr(format_args!("pollset: {error}"));
            false
        }
        _ => true,
    }
}
