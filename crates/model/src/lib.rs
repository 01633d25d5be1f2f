//! Models of the library's lock, and of the hand-over of changes from the registrations to the
//! engines.
//!
//! [loom](https://docs.rs/loom) runs each test once for each order of the steps of its threads, and
//! for each value that the memory model lets a load return. It reports accesses of a cell that no
//! synchronization orders.
//!
//! - `lock_models` runs the library's own `lock.rs`, on loom's atomics and cell.
//! - `change_models` and `removal_models` run a copy of the protocol in the library's `shared.rs` on
//!   that lock. The registrations and the engines are reduced to lists, the epoll instance to a set of
//!   entries.
//!
//! A forked child is modelled as the same memory with the next generation, in a state in which
//! a thread of the parent owned the lock. That thread runs no more.
//!
//! The orders are limited: to [`MAX_PREEMPTIONS`] preemptions in a run (`LOOM_MAX_PREEMPTIONS` sets
//! another limit), and to one order after a thread has waited for long (`back_off`). The models
//! don't cover:
//!
//! - signals: on a thread, no code runs between the steps of `lock.rs`;
//! - the generation: it is a plain number here, and neither the word that the kernel wipes
//!   (`MADV_WIPEONFORK`) nor process ids are modelled;
//! - the copy of memory that a fork makes while other threads of the parent write;
//! - the kernel: events, errors, and instances that are replaced or lost;
//! - a lease that is dropped, and not ended, while another thread notifies it: loom lets a store
//!   come between the load and the store of a concurrent read-modify-write operation;
//! - the orders that loom itself leaves out: no load returns a value that is stored later.

#![cfg(test)]

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

mod change_models;
mod epoll;
#[path = "../../pollset/src/lock.rs"]
mod lock;
mod lock_models;
mod removal_models;
mod shared;
mod sync;
mod sys;

const MAX_PREEMPTIONS: usize = 3;

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(MAX_PREEMPTIONS);
    builder.check(test);
}

fn spawn<T, R>(shared: &Arc<T>, run: impl FnOnce(&T) -> R + 'static) -> JoinHandle<R>
where
    T: 'static,
    R: 'static,
{
    let shared = Arc::clone(shared);
    thread::spawn(move || run(&shared))
}
