//! What fails in the core, as the exceptions that `select.poll` raises.

use std::io;

use pollset::ConcurrentPoll;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;

/// `RuntimeError` for a concurrent wait; `OSError` with the system's number and text for what the
/// system refuses, of the class that Python has for that number.
pub fn exception(py: Python<'_>, error: io::Error) -> PyErr {
    if error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>()) {
        return PyRuntimeError::new_err(error.to_string());
    }
    let Some(errno) = error.raw_os_error() else {
        return error.into();
    };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (errno,)));
    match text {
        Ok(text) => PyOSError::new_err((errno, text.unbind())),
        Err(error) => error,
    }
}
