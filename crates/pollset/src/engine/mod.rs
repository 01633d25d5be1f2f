//! Engines: ways to ask the kernel about what is registered.

mod array;

#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")),
    not(pollset_portable)
))]
mod epoll;

#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")),
    not(pollset_portable)
)))]
#[path = "no_epoll.rs"]
mod epoll;

pub use array::ArrayEngine;
pub use epoll::EpollEngine;

/// What an epoll instance answers; where there is none, nothing.
#[allow(dead_code)]
pub enum Answer {
    /// So many descriptors are ready.
    Ready(usize),
    /// More than there was room for. Now there is room for all; it must be asked again.
    More,
    /// It reports what is not registered, and must be replaced.
    Phantom,
    /// There is no instance any more, or none that may be used.
    Lost,
}
