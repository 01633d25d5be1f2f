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
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use std::os::fd::AsRawFd;
//! use pollset::{PollFlags, PollMap};
//!
//! fn serve(listener: TcpListener) -> std::io::Result<()> {
//!     let mut map = PollMap::<Option<TcpStream>>::new(); // `None`: the listener
//!     map.register(&listener, PollFlags::IN, None)?;
//!     loop {
//!         map.poll(None)?;
//!         while let Some((event, client)) = map.next_event() {
//!             let Some(client) = client else {
//!                 let (client, _) = listener.accept()?;
//!                 map.register(client.as_raw_fd(), PollFlags::IN, Some(client))?;
//!                 continue;
//!             };
//!             let mut buffer = [0; 4096];
//!             let is_open = match client.read(&mut buffer) {
//!                 Ok(0) | Err(_) => false,
//!                 Ok(count) => client.write_all(&buffer[..count]).is_ok(),
//!             };
//!             if !is_open {
//!                 map.unregister(event.fd)?; // returns the stream, which is closed here
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
//! | [`PollSet`] | the polling object: descriptor numbers and masks. Any thread may change it |
//! | [`PollMap`] | the same with a value for each registration, which comes with its events |
//! | [`poll()`], [`PollFd`] | polls an array once, without an object |
//! | [`PollFlags`] | events: requested in a mask, and reported |
//! | [`Event`] | a ready descriptor and its events |
//! | [`Descriptor`] | descriptor numbers, and references to sockets, files and the like |
//! | [`Timeout`] | none, a duration, or a deadline |
//! | [`Waker`] | ends a wait from another thread |
//! | `SignalMask` | for `PollSet::ppoll`, which waits for descriptors and signals; where the system has ppoll(2) |
//! | [`Builder`], [`Engine`], [`Stats`] | force poll(2) or epoll(7), and see which one was used |
//! | [`NotRegistered`], [`ConcurrentPoll`] | the errors that are not the system's |
//! | `PollSet::start` | a wait made step by step, for bindings to other languages: with the feature `bindings` |
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
//!   [requests that](PollSet::poll_interruptible) (also by `PollSet::ppoll`).
//! - *Not* guaranteed: that a descriptor is still ready when the program uses it. Another thread or
//!   process may have read from it, and Linux may drop a datagram with a wrong checksum after it
//!   was reported. Use non-blocking descriptors.
//! - *Not* guaranteed: that a wait ends when another thread closes a descriptor, or that a number
//!   that is closed *without being unregistered* is noticed at once: see [`PollSet`].
//! - The library never reads from a registered descriptor, writes to it, closes or changes it.
//!
//! # I/O safety
//!
//! Sets store descriptor *numbers*, as poll(2) takes them: they neither own nor borrow the files.
//! No `unsafe` is needed for that, because nothing is done with a file but to poll it:
//!
//! - A number that isn't open is reported as [`NVAL`](PollFlags::NVAL). One that means another file by
//!   now is polled, and its events are reported: the program acts on a file that it has opened
//!   itself, or another part of it has, with the calls that it would make anyway. No memory is
//!   accessed, and no file is read, written, closed or changed. (Polling has side effects for a few
//!   files, such as those of `/proc` that report a change once.)
//! - The library's own epoll instance has a number that other code of the process can close or
//!   replace. Before the library closes it, and after each sign that it has changed, it makes sure that
//!   the number is still that of its instance.
//!
//! A borrowed type, `PollSet<'fd>` with [`BorrowedFd`](std::os::fd::BorrowedFd), would prove that a
//! registered descriptor is open. But a server closes connections while others are registered, and
//! keeps sockets in the same structure as the set; neither compiles with such a borrow. `mio` takes
//! references and borrows nothing, as this crate does. The `add` of `polling` is `unsafe`: its caller
//! promises to delete a source before it is dropped.
//!
//! Two duties are the caller's: to unregister a descriptor before it is closed, and not to take an
//! event of the old file for one of the new, for which there is [`PollMap`].
//!
//! # Not part of it
//!
//! Edge-triggered and one-shot registrations, `EPOLLEXCLUSIVE`, several threads that wait on one
//! object, Windows. The guide in the repository (`docs/guide.md`) says what to use instead, and how to use
//! this crate with TLS, timers, thread pools and more.
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

#[cfg(feature = "bindings")]
pub use bindings::process_generation;
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
