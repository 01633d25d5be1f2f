//! Runs the command that follows the wait.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::output;

/// Exit status, as that of a shell: the program was not found.
const NOT_FOUND: u8 = 127;
/// Exit status, as that of a shell: the program can't be run.
const NOT_RUNNABLE: u8 = 126;

/// Replaces this process by a program. Returns only if that fails.
pub fn run(program: &OsStr, arguments: &[OsString]) -> ExitCode {
    let error = Command::new(program).args(arguments).exec();
    let (program, reason) = (program.display(), output::text(&error));
    output::write_stderr(format_args!("pollset: can't run {program}: {reason}"));
    let is_absent = error.kind() == io::ErrorKind::NotFound;
    ExitCode::from(if is_absent { NOT_FOUND } else { NOT_RUNNABLE })
}
