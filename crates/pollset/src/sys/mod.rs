//! System calls. What differs from system to system is in [`os`], one file each.

/// Not where the events of poll(2) and epoll(7) differ.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")),
    not(pollset_portable)
))]
pub mod epoll;
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")),
    not(pollset_portable)
))]
pub mod kinds;
mod poll;

#[cfg(all(any(target_os = "linux", target_os = "android"), not(pollset_portable)))]
#[path = "linux.rs"]
mod os;

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(pollset_portable))))]
#[path = "portable.rs"]
mod os;

pub use os::{Wake, process_generation};
pub use poll::poll;
