//! The list that `poll()` returns.

use pollset::Event;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// A list of `(fd, revents)` tuples.
pub fn list<'py>(py: Python<'py>, events: &[Event]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, events.iter().map(|event| (event.fd, event.revents.bits())))
}
