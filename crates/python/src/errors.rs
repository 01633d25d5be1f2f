//! Converts errors of the crate `pollset` to the exceptions that `select.poll` raises.

use std::io;

use pollset::{ConcurrentPoll, NotRegistered};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;

/// `RuntimeError` for a concurrent wait. For errors of system calls `OSError`, or its subclass for
/// this errno, with the errno and the system's text.
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

/// `FileNotFoundError`, the `OSError` for ENOENT, for a descriptor to modify that is not registered.
pub fn not_found(_: NotRegistered) -> PyErr {
    exception(io::Error::from_raw_os_error(libc::ENOENT))
}
