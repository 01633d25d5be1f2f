//! Random programs over real descriptors, compared with the kernel after each operation.
//!
//! A [`Program`] opens, closes, duplicates and reuses descriptors, registers and unregisters them,
//! waits while threads change them, forks, reaches the limit on descriptors, gets signals, and
//! closes or replaces the epoll instance of the set. A [`World`] runs it, and after each operation
//! compares the set with the kernel's poll(2). [`run_in_child`] does that in a forked child.

#![cfg(target_os = "linux")]

#[cfg(feature = "arbitrary")]
mod bytes;
mod child;
mod counts;
mod generate;
mod model;
mod object;
mod program;
mod raw;
mod world;

pub use child::{assert_no_fd_leak, run_in_child};
pub use counts::{Counts, SharedCounts};
pub use generate::programs;
pub use program::{Action, FdIndex, Mask, Op, Program, Until, WaitCall};
pub use world::World;

/// The name of an engine that is forced, or of the automatic choice.
pub fn engine_name(engine: Option<pollset::Engine>) -> String {
    engine.map_or("Auto".into(), |engine| format!("{engine:?}"))
}
