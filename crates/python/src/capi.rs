//! Functions of Python's C API. `select.poll` converts its arguments with the same ones, so that
//! the accepted values, the methods called and the exceptions are those of the running Python.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_ushort, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyInt;

/// The value of an exact `int` that fits in a C `long`.
#[inline]
pub fn as_exact_long(object: &Bound<'_, PyAny>) -> Option<c_long> {
    let int = object.cast_exact::<PyInt>().ok()?;
    let mut overflow = 0;
    // SAFETY: `int` is alive, and this thread is attached to its interpreter. The function
    // writes to `overflow`, and raises nothing for an exact `int`.
    let value = unsafe { ffi::PyLong_AsLongAndOverflow(int.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(value)
}

/// The object's value if it is an `int`, or else the result of its `fileno()`. Not negative.
pub fn as_file_descriptor(object: &Bound<'_, PyAny>) -> PyResult<c_int> {
    // SAFETY: `object` is alive, and this thread is attached to its interpreter.
    let fd = unsafe { ffi::PyObject_AsFileDescriptor(object.as_ptr()) };
    if fd >= 0 { Ok(fd) } else { Err(PyErr::fetch(object.py())) }
}

// Not documented, but exported since 3.9 for the `select` module, which may be a separate library.
unsafe extern "C" {
    fn _PyLong_UnsignedShort_Converter(object: *mut ffi::PyObject, value: *mut c_void) -> c_int;
    fn _PyTime_FromMillisecondsObject(
        nanoseconds: *mut i64,
        object: *mut ffi::PyObject,
        rounding: c_int,
    ) -> c_int;
}

/// `_PyTime_ROUND_TIMEOUT`: away from zero.
const ROUND_TIMEOUT: c_int = 3;

/// Converts an event mask as `select.poll` does.
pub fn as_unsigned_short(object: &Bound<'_, PyAny>) -> PyResult<c_ushort> {
    let mut value: c_ushort = 0;
    // SAFETY: as above. It writes an `unsigned short` to `value`, or raises and returns 0.
    let is_converted =
        unsafe { _PyLong_UnsignedShort_Converter(object.as_ptr(), (&raw mut value).cast()) } != 0;
    if is_converted { Ok(value) } else { Err(PyErr::fetch(object.py())) }
}

/// Converts a timeout in milliseconds as `select.poll` does, rounded away from zero.
pub fn milliseconds_to_nanoseconds(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    let mut nanoseconds = 0;
    // SAFETY: as above. It writes an `int64_t` to `nanoseconds`, or raises and returns -1.
    let status =
        unsafe { _PyTime_FromMillisecondsObject(&mut nanoseconds, object.as_ptr(), ROUND_TIMEOUT) };
    if status == 0 { Ok(nanoseconds) } else { Err(PyErr::fetch(object.py())) }
}

/// Whether this is the only thread of the interpreter. On free-threaded Python always true: no
/// thread waits for another one to release an interpreter lock.
#[inline]
pub fn is_only_thread(_py: Python<'_>) -> bool {
    if cfg!(Py_GIL_DISABLED) {
        return true;
    }
    // SAFETY: this thread is attached, so that its state and that of its interpreter are alive, and
    // only these are read. The interpreter inserts new threads at the head of its list, maybe at
    // the same time: then this reads either the old head or the new one.
    unsafe {
        let this = ffi::PyThreadState_Get();
        let interpreter = ffi::PyThreadState_GetInterpreter(this);
        ffi::PyInterpreterState_ThreadHead(interpreter) == this
            && ffi::PyThreadState_Next(this).is_null()
    }
}
