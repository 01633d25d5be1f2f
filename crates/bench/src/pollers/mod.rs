//! The pollers under comparison, behind one trait, each used as its documentation recommends.

pub mod bare_epoll;
pub mod bare_poll;
mod bookkeeping;
mod c_face;
mod event_loop;
mod indexed;
mod mio;
mod poller;
mod polling;
mod pollset;
mod popol;
pub mod rustix;
mod select;
mod subject;

pub use event_loop::EventLoop;
pub use poller::{Interest, Poller};
pub use select::FD_SETSIZE;
pub use subject::{Subject, Trigger};
