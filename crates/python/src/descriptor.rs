//! The argument that names a descriptor.

use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::types::PyInt;

use crate::capi;

/// An integer, or what the object's `fileno()` returns. Not negative.
pub fn convert(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    if let Ok(int) = object.cast_exact::<PyInt>()
        && let Ok(fd @ 0..) = int.extract()
    {
        return Ok(fd);
    }
    capi::as_file_descriptor(object)
}
