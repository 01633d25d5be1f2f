//! What an object has done so far.

use pyo3::prelude::*;

use crate::engine;

/// What a polling object or a selector has done since it was made, as its stats() returns it.
///
/// It is read-only, and a copy: what the object does later doesn't change it. Two are equal if all
/// their fields are. Every number is a count. Later versions may have more fields.
#[pyclass(frozen, eq, hash, get_all, module = "pollset")]
#[derive(PartialEq, Eq, Hash)]
pub struct Stats {
    /// What answered the last wait: "poll" for poll(2), "epoll" for epoll(7). None before the first.
    last_engine: Option<&'static str>,
    /// Waits that poll(2) answered. One that raised an exception is not counted.
    poll_waits: u64,
    /// Waits that epoll(7) answered, alone or with poll(2) for files that are not on epoll. One that
    /// raised an exception is not counted.
    epoll_waits: u64,
    /// Registrations and modifications that epoll was told of.
    changes_applied: u64,
    /// Registrations on epoll that were checked for numbers that mean another file than when they
    /// were registered.
    audited: u64,
    /// Registrations on epoll that were compared with what poll(2) answers.
    compared: u64,
    /// epoll instances that were replaced because they reported what is not registered.
    replaced: u64,
    /// Times that epoll was wanted and the system refused it.
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
