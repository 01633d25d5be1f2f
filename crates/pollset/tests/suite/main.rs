//! What a polling object promises, on Linux, with the kernel's own `poll(2)` as the judge.
//!
//! One module an idea. Every test owns the descriptor numbers that it uses, so that they run side
//! by side; those that fork or change a limit of the process run in a process of their own.

#![cfg(target_os = "linux")]

extern crate pollset_testkit as util;

mod allocations;
mod closing;
mod crowd;
mod descriptors;
#[cfg(not(pollset_portable))]
mod epoll;
mod fork;
mod leaks;
mod limits;
mod oracle;
mod registering;
mod results;
mod signals;
mod steps;
mod threads;
mod timeouts;
mod waker;
