//! The wait, with Python's signal handlers run in it.

use std::ops::ControlFlow;

use pollset::{Event, PollSet, Timeout};
use pyo3::prelude::*;

use crate::errors;

/// Waits without the interpreter lock. When a signal comes, its handler runs; the wait goes on with
/// what is left of the timeout unless the handler raised (PEP 475).
pub fn wait(py: Python<'_>, set: &PollSet, timeout: Timeout) -> PyResult<Vec<Event>> {
    let mut events = Vec::new();
    let mut raised = None;
    let outcome = py.detach(|| {
        set.poll_interruptible(&mut events, timeout, || {
            match Python::attach(|py| py.check_signals()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    raised = Some(error);
                    ControlFlow::Break(())
                }
            }
        })
    });
    match (raised, outcome) {
        (Some(raised), _) => Err(raised),
        (None, Err(error)) => Err(errors::exception(py, error)),
        (None, Ok(_)) => Ok(events),
    }
}
