//! What fails in the core, as the exceptions that `select.poll` raises.

use std::io;

use pollset::ConcurrentPoll;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;

/// `RuntimeError` for a concurrent wait; `OSError` with the system's number and text for what the
/// system refuses, of the class that Python has for that number.
pub fn exception(error: io::Error) -> PyErr {
    if error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>()) {
        return PyRuntimeError::new_err(error.to_string());
    }
    let Some(errno) = error.raw_os_error() else {
        return error.into();
    };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" (os error {errno})")).unwrap_or(&text);
    PyOSError::new_err((errno, text.to_owned()))
}
