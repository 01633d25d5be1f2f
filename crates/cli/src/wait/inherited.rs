//! Descriptors that this process has inherited: from the shell, or from a service manager.

use std::env;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::{Result, bail};
use pollset::{PollFlags, PollSet};
use rlimit::Resource;
use rustix::process::{Pid, getpid, getppid};

use crate::usage_error::UsageError;

/// The first descriptor that a service manager passes.
const FIRST_LISTEN_FD: RawFd = 3;

/// Checks that inherited descriptors are open, and that each is given once.
pub fn check(fds: impl Iterator<Item = RawFd>) -> Result<()> {
    let set = PollSet::new();
    for fd in fds {
        if set.contains(fd) {
            bail!(UsageError(format!(
                "descriptor {fd} is given twice; join its events: {fd}:in,out"
            )));
        }
        set.register(fd, PollFlags::empty())?;
    }
    for event in set.poll(Duration::ZERO)? {
        if event.revents.contains(PollFlags::NVAL) {
            let fd = event.fd;
            bail!(UsageError(format!(
                "descriptor {fd} is not open; open it in the shell, as in {fd}<FILE"
            )));
        }
    }
    Ok(())
}

/// The sockets that a service manager has opened, those with `name` or all: `LISTEN_FDS`,
/// `LISTEN_FDNAMES` and `LISTEN_PID` of sd_listen_fds(3).
pub fn listen_fds(name: Option<&str>) -> Result<Vec<RawFd>> {
    let number = |variable| env::var(variable).ok().and_then(|value| value.parse::<i32>().ok());
    let count = number("LISTEN_FDS").unwrap_or(0);
    // The service manager's child may be a shell that has started this process.
    let owner = number("LISTEN_PID").and_then(Pid::from_raw);
    if count <= 0 || owner.is_none_or(|owner| owner != getpid() && Some(owner) != getppid()) {
        bail!(UsageError(
            "listen: needs sockets from a service manager (LISTEN_FDS, and LISTEN_PID of this \
             process or of its parent)"
                .to_owned()
        ));
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<_> = names.split(':').collect();
    // None is open above the limit.
    let limit = Resource::NOFILE.get_soft().ok().and_then(|limit| RawFd::try_from(limit).ok());
    let fds =
        FIRST_LISTEN_FD..FIRST_LISTEN_FD.saturating_add(count).min(limit.unwrap_or(RawFd::MAX));
    let matching = fds.zip(0..).filter(|&(_, at)| match name {
        Some(name) => names.get(at).is_some_and(|known| *known == name),
        None => true,
    });
    let fds: Vec<_> = matching.map(|(fd, _)| fd).collect();
    if fds.is_empty() {
        bail!(UsageError(format!(
            "the service manager has opened no socket with this name; its names are {}",
            names.join(", ")
        )));
    }
    Ok(fds)
}
