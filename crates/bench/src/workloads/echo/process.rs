use std::env::current_exe;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

/// A child process that runs this program in one of the echo roles. It is killed on drop.
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn start(role: &[impl AsRef<OsStr>]) -> Result<Self> {
        let mut command = Command::new(current_exe()?);
        command.arg("echo-role").args(role).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().expect("standard input is a pipe");
        let output = child.stdout.take().expect("standard output is a pipe");
        Ok(Self { child, input, output: BufReader::new(output).lines() })
    }

    pub fn read_line(&mut self) -> Result<String> {
        Ok(self.output.next().context("a server or its clients ended")??)
    }

    pub fn write_line(&mut self, line: impl Display) -> Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// The CPU time so far, in nanoseconds.
    pub fn cpu_time(&self) -> Result<f64> {
        let schedstat = fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()))?;
        let time = schedstat.split(' ').next().expect("split yields at least one item");
        Ok(time.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // kill fails if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
