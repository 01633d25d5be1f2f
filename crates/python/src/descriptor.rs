//! The argument that names a descriptor.

use std::os::fd::RawFd;

use pyo3::prelude::*;

use crate::capi;

/// An integer, or what the object's `fileno()` returns. Not negative.
pub fn convert(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    match capi::as_exact_long(object).map(RawFd::try_from) {
        Some(Ok(fd @ 0..)) => Ok(fd),
        _ => capi::as_file_descriptor(object),
    }
}
