//! System calls. What differs from system to system is chosen here, by the build script's `cfg`s.

pub mod clock;
#[cfg(feature = "bindings")]
mod duplicate;
#[cfg(any(has_epoll, all(is_linux, feature = "bindings")))]
mod file_name;
#[cfg(has_epoll)]
pub mod kinds;
mod poll;

#[cfg_attr(not(has_ppoll), path = "no_signals.rs")]
pub mod signals;

#[cfg_attr(not(has_epoll), path = "no_epoll.rs")]
pub mod epoll;

#[cfg_attr(not(is_linux), path = "process_id.rs")]
mod generation;

#[cfg_attr(is_linux, path = "eventfd.rs")]
#[cfg_attr(not(is_linux), path = "socket_pair.rs")]
mod wake;

pub use generation::process_generation;
#[cfg(has_epoll)]
pub use poll::whole_milliseconds;
pub use poll::{entries_of, poll, poll_masked};
pub use wake::Wake;
