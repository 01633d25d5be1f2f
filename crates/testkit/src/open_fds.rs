//! The open descriptors of this process, as `/proc/self/fd` lists them.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// Each open descriptor, with the target of its link, such as `/dev/null` or `socket:[4711]`.
///
/// Empty if the directory can't be opened: without `/proc`, or when no descriptor is free.
pub fn open_fds() -> BTreeMap<RawFd, String> {
    let Ok(directory) = fs::read_dir("/proc/self/fd") else { return BTreeMap::new() };
    let fds = directory.filter_map(|entry| {
        let entry = entry.ok()?;
        let fd = entry.file_name().to_str()?.parse().ok()?;
        let target = fs::read_link(entry.path()).ok()?;
        Some((fd, target.to_string_lossy().into_owned()))
    });
    // The descriptor of the directory itself is closed again.
    let own = format!("/proc/{}/fd", std::process::id());
    fds.filter(|(_, target)| *target != own).collect()
}

/// All epoll instances of this process.
pub fn epoll_instances() -> Vec<RawFd> {
    let epolls = open_fds().into_iter().filter(|(_, target)| target == "anon_inode:[eventpoll]");
    epolls.map(|(fd, _)| fd).collect()
}

/// The target of the link of one descriptor; empty without `/proc`.
pub fn link_target(fd: impl AsFd) -> String {
    let target = fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()));
    target.map_or_else(|_| String::new(), |target| target.to_string_lossy().into_owned())
}
