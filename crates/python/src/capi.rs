//! Functions of Python's C interface: those that `select.poll` converts its arguments with, so that
//! what they accept, run and raise is that of the running Python, and one that counts threads.

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
    // SAFETY: `int` is alive, and this thread is attached to its interpreter. `overflow` is written,
    // and an exact `int` raises nothing.
    let value = unsafe { ffi::PyLong_AsLongAndOverflow(int.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(value)
}

/// An integer, or what the object's `fileno()` returns. Not negative.
pub fn as_file_descriptor(object: &Bound<'_, PyAny>) -> PyResult<c_int> {
    // SAFETY: `object` is alive, and this thread is attached to its interpreter.
    let fd = unsafe { ffi::PyObject_AsFileDescriptor(object.as_ptr()) };
    if fd >= 0 { Ok(fd) } else { Err(PyErr::fetch(object.py())) }
}

// Not documented, but exported since 3.9 for the `select` module, which may be a library of its own.
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

/// What the event masks of `select.poll` are converted with.
pub fn as_unsigned_short(object: &Bound<'_, PyAny>) -> PyResult<c_ushort> {
    let mut value: c_ushort = 0;
    // SAFETY: as above. An `unsigned short` is written to `value`, unless it raises and returns 0.
    let has_value =
        unsafe { _PyLong_UnsignedShort_Converter(object.as_ptr(), (&raw mut value).cast()) } != 0;
    if has_value { Ok(value) } else { Err(PyErr::fetch(object.py())) }
}

/// What the timeouts of `select.poll` are converted with: milliseconds to nanoseconds, rounded away
/// from zero.
pub fn nanoseconds_of_milliseconds(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    let mut nanoseconds = 0;
    // SAFETY: as above. An `int64_t` is written to `nanoseconds`, unless it raises and returns -1.
    let status =
        unsafe { _PyTime_FromMillisecondsObject(&mut nanoseconds, object.as_ptr(), ROUND_TIMEOUT) };
    if status == 0 { Ok(nanoseconds) } else { Err(PyErr::fetch(object.py())) }
}

/// Whether the interpreter has no other thread, or other threads don't need this one to release a
/// lock.
#[inline]
pub fn is_only_thread(_py: Python<'_>) -> bool {
    if cfg!(Py_GIL_DISABLED) {
        return true;
    }
    // SAFETY: this thread is attached, so that the states of the thread and of its interpreter are
    // alive, and only they are read. The interpreter adds new threads at the head of its list, and
    // may do so at this moment: then the head that is read is the old one or the new one.
    unsafe {
        let this = ffi::PyThreadState_Get();
        let interpreter = ffi::PyThreadState_GetInterpreter(this);
        ffi::PyInterpreterState_ThreadHead(interpreter) == this
            && ffi::PyThreadState_Next(this).is_null()
    }
}
