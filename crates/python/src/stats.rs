//! `pollset.Stats`.

use pyo3::prelude::*;

use crate::engine;

/// Statistics of a polling object or a selector since it was made, returned by its stats() method.
///
/// A read-only snapshot: later calls of the object don't change it. Two are equal if all their
/// fields are equal. Every number is a count. Later versions may have more fields.
#[pyclass(frozen, eq, hash, get_all, module = "pollset")]
#[derive(PartialEq, Eq, Hash)]
pub struct Stats {
    /// The engine of the last wait: "poll" for poll(2), "epoll" for epoll(7), None before the
    /// first.
    last_engine: Option<&'static str>,
    /// Waits with poll(2). Waits that raised an exception are not counted.
    poll_waits: u64,
    /// Waits with epoll(7), alone or together with poll(2) for files that are not on epoll. Waits
    /// that raised an exception are not counted.
    epoll_waits: u64,
    /// Entries that were added to epoll, modified, or left to poll(2).
    changes_applied: u64,
    /// Checks that the number of a registration on epoll still refers to the same open file.
    audited: u64,
    /// Comparisons of a registration on epoll with the result of poll(2).
    compared: u64,
    /// epoll instances that were replaced: they reported entries that can't be removed, or had used
    /// up their serial numbers.
    replaced: u64,
    /// Failures to create an epoll instance, to fill it or to use it, and instances that were lost.
    refused: u64,
}

impl From<pollset::Stats> for Stats {
    fn from(stats: pollset::Stats) -> Self {
        Self {
            last_engine: stats.last_engine.map(engine::name),
            poll_waits: stats.poll_waits,
            epoll_waits: stats.epoll_waits,
            changes_applied: stats.changes_applied,
            audited: stats.audited,
            compared: stats.compared,
            replaced: stats.replaced,
            refused: stats.refused,
        }
    }
}

#[pymethods]
impl Stats {
    fn __repr__(&self) -> String {
        let Self {
            last_engine,
            poll_waits,
            epoll_waits,
            changes_applied,
            audited,
            compared,
            replaced,
            refused,
        } = self;
        let last_engine = last_engine.map_or("None".into(), |name| format!("'{name}'"));
        format!(
            "pollset.Stats(last_engine={last_engine}, poll_waits={poll_waits}, \
             epoll_waits={epoll_waits}, changes_applied={changes_applied}, audited={audited}, \
             compared={compared}, replaced={replaced}, refused={refused})"
        )
    }
}
