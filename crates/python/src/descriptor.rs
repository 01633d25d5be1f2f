//! Converts the descriptor argument.

use std::os::fd::RawFd;

use pyo3::prelude::*;

use crate::capi;

/// The object's value if it is an `int`, or else the result of its `fileno()`. Not negative.
pub fn convert(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    match capi::as_exact_long(object).map(RawFd::try_from) {
        Some(Ok(fd @ 0..)) => Ok(fd),
        _ => capi::as_file_descriptor(object),
    }
}
