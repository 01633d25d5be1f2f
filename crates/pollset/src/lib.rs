//! Polling objects: sets of file descriptors that report which of them are ready.
//!
//! A [`PollSet`] does what Python's [`select.poll`] documents: [`register`](PollSet::register)
//! descriptors, each with the events that it is watched for, [`modify`](PollSet::modify) and
//! [`unregister`](PollSet::unregister) them, and [`poll`](PollSet::poll) for those that have
//! events or errors to report. It is made for network servers with many clients, and for programs
//! that poll three descriptors once.
//!
//! [`select.poll`]: https://docs.python.org/3/library/select.html#polling-objects
//!
//! # An echo server
//!
//! ```
//! use std::collections::HashMap;
//! use std::io::{Read, Write};
//! use std::net::TcpListener;
//! use std::os::fd::AsRawFd;
//! use pollset::{PollFlags, PollSet};
//!
//! fn serve(listener: TcpListener) -> std::io::Result<()> {
//!     let set = PollSet::new();
//!     set.register(&listener, PollFlags::IN)?;
//!     let mut clients = HashMap::new();
//!     loop {
//!         for event in set.poll(None)? {
//!             if event.is_for(&listener) {
//!                 let (client, _) = listener.accept()?;
//!                 set.register(&client, PollFlags::IN)?;
//!                 clients.insert(client.as_raw_fd(), client);
//!             } else if let Some(client) = clients.get_mut(&event.fd) {
//!                 let mut buffer = [0; 4096];
//!                 let done = match client.read(&mut buffer) {
//!                     Ok(0) | Err(_) => true,
//!                     Ok(count) => client.write_all(&buffer[..count]).is_err(),
//!                 };
//!                 if done {
//!                     set.unregister(event.fd)?;
//!                     clients.remove(&event.fd);
//!                 }
//!             }
//!         }
//!     }
//! }
//! # let listener = TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # std::thread::spawn(|| serve(listener));
//! # let mut client = std::net::TcpStream::connect(address)?;
//! # client.write_all(b"hello")?;
//! # let mut answer = [0; 5];
//! # client.read_exact(&mut answer)?;
//! # assert_eq!(&answer, b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Contents
//!
//! | | |
//! |---|---|
//! | [`PollSet`] | the polling object |
//! | [`PollFlags`] | events: requested in a mask, and reported |
//! | [`Event`] | a ready descriptor and its events |
//! | [`Descriptor`] | descriptor numbers, and references to sockets, files and the like |
//! | [`Timeout`] | none, a duration, or a deadline |
//! | [`Waker`] | ends a wait from another thread |
//! | [`Waiting`], [`Step`] | a wait made step by step, for bindings to other languages |
//! | [`Builder`], [`Engine`], [`Stats`] | force poll(2) or epoll(7), and see which one was used |
//! | [`NotRegistered`], [`ConcurrentPoll`] | the errors that are not the system's |
//!
//! # Guarantees
//!
//! - **Each wait reports every ready descriptor, in registration order.** Level-triggered: a
//!   descriptor that stays ready is reported again, and needs no re-arming.
//! - **All descriptors that `poll(2)` accepts**: sockets, pipes, terminals, regular files,
//!   directories, devices, other polling descriptors, numbers that are not open.
//! - **Never early**: a wait without events takes at least as long as its timeout. The system decides
//!   how much longer.
//! - **Signals** don't end a wait, unless the caller
//!   [requests that](PollSet::poll_interruptible).
//! - *Not* guaranteed: that a descriptor is still ready when the program uses it. Another thread or
//!   process may have read from it, and Linux may drop a datagram with a wrong checksum after it
//!   was reported. Use non-blocking descriptors.
//! - *Not* guaranteed: that a wait ends when another thread closes a descriptor, or that a number
//!   that is closed *without being unregistered* is noticed at once: see [`PollSet`].
//! - The library never reads from a registered descriptor, writes to it, closes or changes it.
//!
//! # Portability
//!
//! Unix. Written for every Unix that [`rustix`] supports; built and tested on Linux.

#![deny(unsafe_code)]

#[cfg(not(unix))]
compile_error!("pollset needs a Unix system: it is built on poll(2)");

#[cfg(feature = "bindings")]
mod bindings;
mod builder;
mod descriptor;
mod engine;
mod engines;
mod error;
mod event;
mod flags;
mod iter;
mod lock;
mod map;
mod policy;
mod poll_fd;
mod probing;
mod registrations;
mod set;
mod settings;
mod shared;
#[cfg(has_ppoll)]
mod signal_mask;
mod stats;
mod sync;
mod sys;
mod timeout;
mod waiting;
mod waker;

pub use builder::Builder;
pub use descriptor::Descriptor;
pub use error::{ConcurrentPoll, NotRegistered};
pub use event::Event;
pub use flags::PollFlags;
pub use iter::Iter;
pub use map::PollMap;
pub use poll_fd::{PollFd, poll};
pub use set::PollSet;
pub use settings::Engine;
#[cfg(has_ppoll)]
pub use signal_mask::SignalMask;
pub use stats::Stats;
pub use timeout::Timeout;
#[cfg(feature = "bindings")]
pub use waiting::{Step, Waiting};
pub use waker::Waker;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
