//! Engines: ways to ask the kernel about what is registered.

mod array;

pub use array::ArrayEngine;
