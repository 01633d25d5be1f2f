use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;

/// A set of descriptors to wait for, each with itself as its key.
pub trait Poller {
    /// Registers the descriptor for reading.
    fn add(&mut self, fd: RawFd) -> Result<()>;
    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()>;
    /// Removes a descriptor that the caller is about to close.
    fn remove(&mut self, fd: RawFd) -> Result<()>;
    /// Appends the ready descriptors. Blocks without limit if there is no timeout.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()>;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Read,
    ReadAndWrite,
}
