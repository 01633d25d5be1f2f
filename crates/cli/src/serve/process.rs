//! The process of the crowd, as the server sees it.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::report::Report;

pub struct CrowdProcess {
    child: Child,
    reports: ChildStdout,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

pub enum News {
    Reports(Vec<Report>),
    /// The process has ended.
    End,
}

impl CrowdProcess {
    pub fn start(
        server: SocketAddr,
        clients: usize,
        active: usize,
        duration: std::time::Duration,
        size: usize,
    ) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["crowd", &server.to_string()])
            .args(["--clients", &clients.to_string(), "--active", &active.to_string()])
            .args(["--duration", &format!("{}ns", duration.as_nanos())])
            .args(["--size", &size.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What the terminal sends on Ctrl-C is for the server to answer.
            .process_group(0)
            .spawn()
            .context("can't start the crowd of clients")?;
        let reports = child.stdout.take().context("the crowd has no standard output")?;
        fcntl_setfl(&reports, fcntl_getfl(&reports)? | OFlags::NONBLOCK)?;
        Ok(Self { child, reports, partial: Vec::new() })
    }

    /// Reads what the crowd has reported, without waiting.
    pub fn news(&mut self) -> Result<News> {
        let mut buffer = [0; 8192];
        match self.reports.read(&mut buffer) {
            Ok(0) => return Ok(News::End),
            Ok(count) => self.partial.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        let lines_end = self.partial.iter().rposition(|&b| b == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.partial.drain(..lines_end).collect();
        let reports = serde_json::Deserializer::from_slice(&lines).into_iter();
        Ok(News::Reports(reports.collect::<Result<_, _>>()?))
    }
}

impl AsRawFd for CrowdProcess {
    fn as_raw_fd(&self) -> RawFd {
        self.reports.as_raw_fd()
    }
}

impl Drop for CrowdProcess {
    fn drop(&mut self) {
        // It has ended already, unless the server was stopped early.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
