//! Random programs over real descriptors, compared with the kernel step by step.
//!
//! A [`Program`] opens, closes, duplicates and reuses descriptors, registers and unregisters them,
//! waits while threads change things, forks, runs out of descriptors, is interrupted by signals,
//! and takes the set's own descriptor away. A [`World`] runs it, and after each step asks the
//! kernel's poll(2) whether the set is right. [`run_in_child`] does that in a process of its own.

#![cfg(target_os = "linux")]

#[cfg(feature = "arbitrary")]
mod bytes;
mod child;
mod counts;
mod generate;
mod model;
mod program;
mod raw;
mod world;

pub use child::{leaving_nothing_open, run_in_child};
pub use counts::{Counts, SharedCounts};
pub use generate::programs;
pub use program::{Action, How, Mask, Program, Step, Until, Which};
pub use world::World;
