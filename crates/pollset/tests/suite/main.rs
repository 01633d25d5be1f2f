//! The documented behaviour of a polling object on Linux, checked against the kernel's poll(2).
//!
//! One idea per module. Every test owns the descriptor numbers that it uses, so that tests can run
//! in parallel. Tests that fork or change a limit of the process run in a process of their own.

#![cfg(target_os = "linux")]

extern crate pollset_testkit as util;

mod allocations;
mod churn;
mod closed_fds;
#[cfg(not(pollset_portable))]
mod epoll;
mod events;
mod fork;
mod helpers;
mod leaks;
mod limits;
mod map;
mod one_shot;
mod oracle;
mod own_descriptors;
mod registrations;
#[cfg(not(pollset_portable))]
mod signal_masks;
mod signals;
mod steps;
mod threads;
mod timeouts;
mod waker;
