//! System calls. What differs from system to system is in [`os`], one file each.

mod poll;

#[cfg(all(any(target_os = "linux", target_os = "android"), not(pollset_portable)))]
#[path = "linux.rs"]
mod os;

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(pollset_portable))))]
#[path = "portable.rs"]
mod os;

pub use os::{Wake, process_generation};
pub use poll::poll;
