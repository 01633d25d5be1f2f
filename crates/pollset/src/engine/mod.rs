//! Engines: the ways to poll the registrations.

mod poll;

#[cfg_attr(not(has_epoll), path = "no_epoll.rs")]
mod epoll;

pub use epoll::EpollEngine;
pub use poll::{PollEngine, Results};

/// What a call of an engine has come to. Only the epoll engine has other outcomes than `Ready`.
#[cfg_attr(not(has_epoll), allow(dead_code))]
pub enum Polled {
    /// The number of ready descriptors.
    Ready(usize),
    /// There were more events than the buffer had room for. Now there is room for all: call again.
    Again,
    /// The kernel reported an entry that can't be removed. The instance must be replaced.
    Stale,
    Failed(Failure),
}

/// Why an epoll instance can't be used any longer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(not(has_epoll), allow(dead_code))]
pub enum Failure {
    /// The kernel has no room for the entries, or forbids the call.
    Refused,
    /// The number of the instance means another file now. It must be neither used nor closed.
    Lost,
}

/// Changes that the kernel's interest list lacks.
#[derive(Clone, Copy)]
pub struct Pending {
    pub additions: usize,
    pub modifications: usize,
}

impl Pending {
    pub fn len(self) -> usize {
        self.additions + self.modifications
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}
