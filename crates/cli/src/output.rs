//! Writes to standard output and standard error, which may be full disks or closed pipes.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes a line to standard error, and ignores errors.
pub fn write_stderr(line: impl Display) {
    let line = printable(&line.to_string());
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Replaces control characters, which a terminal would obey: names of files may contain them.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Writes whole lines to standard output.
pub fn write_stdout(lines: &[u8]) -> io::Result<()> {
    io::stdout().write_all(lines).map_err(|error| {
        let message = format!("can't write to standard output: {}", text(&error));
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

/// The text of an error without its number.
pub fn text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.split_once(" (os error ")) {
        (Some(_), Some((text, _))) => text.to_owned(),
        _ => text,
    }
}
