//! libpollset: polling objects for C.
//!
//! The crate `pollset` does the polling. This crate has the functions of `pollset.h`, and converts
//! between their types and Rust's.
//!
//! The comments of the functions are their documentation: `include/pollset.h` and the manual pages in
//! `man` are made from them (`tests/generated`). So they speak to a programmer of C, and say nothing
//! about `unsafe`: a pointer to an object is one that `pollset_new` has returned, and that is not freed.
//!
//! | module | |
//! |---|---|
//! | [`set`] | the type `pollset_t`: make and free |
//! | [`registrations`] | register, modify, unregister |
//! | [`wait`] | wait, and wake |
//! | [`stats`] | statistics, version |
//! | `own_waker` | what pollset_wake() writes to, in a process and in its forked children |
//! | `once` | files that report an event only once |
//! | `time` | C's `struct timespec` |
//! | `turn` | whose turn it is, when there is little room for results |
//! | `call` | what all functions have around them: errno, panics, cancellation |

#![deny(unsafe_code)]
#![allow(non_camel_case_types)] // C's names
#![allow(clippy::missing_safety_doc)]

mod call;
mod once;
mod own_waker;
mod time;
mod turn;

// In the order of the header.
pub mod set;

pub mod registrations;

pub mod wait;

pub mod stats;
