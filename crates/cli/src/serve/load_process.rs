//! The server's side of the load generator: starts its process and reads its reports.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::load::Workload;
use super::report::Report;

pub struct LoadProcess {
    child: Child,
    stdout: ChildStdout,
    /// The beginning of a line whose end has not been read yet.
    partial_line: Vec<u8>,
}

impl LoadProcess {
    pub fn start(server: SocketAddr, workload: &Workload) -> Result<Self> {
        let Workload { clients, active, duration, size } = workload;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["load", &server.to_string()])
            .args(["--clients", &clients.to_string(), "--active", &active.to_string()])
            .args(["--duration", &format!("{}ns", duration.as_nanos())])
            .args(["--size", &size.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A group of its own: only the server gets the terminal's SIGINT for Ctrl-C.
            .process_group(0)
            .spawn()
            .context("can't start the load generator")?;
        let stdout = child.stdout.take().context("the load generator has no standard output")?;
        fcntl_setfl(&stdout, fcntl_getfl(&stdout)? | OFlags::NONBLOCK)?;
        Ok(Self { child, stdout, partial_line: Vec::new() })
    }

    /// Reads new reports without blocking. Returns `None` if the process has ended.
    pub fn read_reports(&mut self) -> Result<Option<Vec<Report>>> {
        let mut buffer = [0; 8192];
        match self.stdout.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => self.partial_line.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        let newline = self.partial_line.iter().rposition(|&byte| byte == b'\n');
        let lines: Vec<u8> = self.partial_line.drain(..newline.map_or(0, |at| at + 1)).collect();
        let reports = serde_json::Deserializer::from_slice(&lines).into_iter();
        Ok(Some(reports.collect::<Result<_, _>>()?))
    }
}

impl AsRawFd for LoadProcess {
    fn as_raw_fd(&self) -> RawFd {
        self.stdout.as_raw_fd()
    }
}

impl Drop for LoadProcess {
    fn drop(&mut self) {
        // It is still running only if the server was stopped early.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
