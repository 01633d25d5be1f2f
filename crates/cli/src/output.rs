//! Standard output and standard error, which may be full, or pipes that nobody reads.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Says a line on standard error. Nothing depends on whether that works.
pub fn say(line: impl Display) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes whole lines on standard output.
pub fn write(lines: &[u8]) -> io::Result<()> {
    io::stdout().write_all(lines).map_err(|error| {
        let message = format!("can't write to standard output: {error}");
        io::Error::new(error.kind(), message)
    })
}

/// Prints whole lines for whoever reads them. True: they are printed, or nobody reads them; if
/// anything else is wrong, it is said.
pub fn print(lines: &str) -> bool {
    match write(lines.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(format_args!("pollset: {error}"));
            false
        }
        _ => true,
    }
}
