//! Functions of Python's C interface: those that `select.poll` converts its arguments with, so that
//! what they accept, run and raise is that of the running Python, and one that counts threads.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_longlong, c_ulong};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyInt;

/// An integer, or what the object's `fileno()` returns. Not negative.
pub fn as_file_descriptor(object: &Bound<'_, PyAny>) -> PyResult<c_int> {
    // SAFETY: `object` is alive, and this thread is attached to its interpreter.
    let fd = unsafe { ffi::PyObject_AsFileDescriptor(object.as_ptr()) };
    unless_raised(object, fd, -1)
}

/// The sign of an `int` of any size, whatever its class makes of comparisons.
pub fn is_negative(int: &Bound<'_, PyInt>) -> bool {
    let mut overflow = 0;
    // SAFETY: as above, and `overflow` is written before it returns. An `int` raises nothing.
    let value = unsafe { ffi::PyLong_AsLongAndOverflow(int.as_ptr(), &mut overflow) };
    if overflow == 0 { value < 0 } else { overflow < 0 }
}

/// Not negative, and an `int`: an object that only has `__index__()` is refused.
pub fn as_unsigned_long(object: &Bound<'_, PyAny>) -> PyResult<c_ulong> {
    // SAFETY: as above. It checks the type of `object`.
    let value = unsafe { ffi::PyLong_AsUnsignedLong(object.as_ptr()) };
    unless_raised(object, value, c_ulong::MAX)
}

/// An `int`, or what `__index__()` returns.
pub fn as_long_long(object: &Bound<'_, PyAny>) -> PyResult<c_longlong> {
    // SAFETY: as above. It checks the type of `object`.
    let value = unsafe { ffi::PyLong_AsLongLong(object.as_ptr()) };
    unless_raised(object, value, -1)
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

/// `suspect` stands for itself, or for an exception.
fn unless_raised<T: PartialEq>(object: &Bound<'_, PyAny>, value: T, suspect: T) -> PyResult<T> {
    if value == suspect
        && let Some(exception) = PyErr::take(object.py())
    {
        return Err(exception);
    }
    Ok(value)
}
