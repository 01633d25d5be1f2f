//! The wait: what may block runs without the interpreter lock, and handlers of signals run in it.

use pollset::{PollSet, Step, Timeout, Waiting};
use pyo3::prelude::*;

use crate::errors;

/// Waits; returns how many answers there are to take.
///
/// The lock is kept for what takes a few microseconds, as asking without waiting does while few
/// descriptors are to be looked at: to let go of it and take it back costs as much. When a signal
/// comes, its handler runs; the wait goes on with what is left of the timeout unless the handler
/// raised (PEP 475).
#[inline]
pub fn wait<'a>(
    py: Python<'_>,
    set: &'a PollSet,
    timeout: Timeout,
) -> PyResult<(Waiting<'a>, usize)> {
    let mut waiting = set.start(timeout).map_err(errors::exception)?;
    loop {
        let step = if waiting.is_short() { waiting.step() } else { py.detach(|| waiting.step()) };
        match step.map_err(errors::exception)? {
            // A signal may also have come between two system calls.
            Step::Unfinished | Step::Interrupted => py.check_signals()?,
            Step::Ready(ready) => return Ok((waiting, ready)),
        }
    }
}
