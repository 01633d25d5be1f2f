//! Converts the timeout argument.

use std::time::Duration;

use pollset::Timeout;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use crate::capi;

const NANOSECONDS_PER_MILLISECOND: i64 = 1_000_000;
/// The longest timeout that every version of Python accepts.
const MAX_MILLISECONDS: f64 = i32::MAX as f64;

/// A timeout in milliseconds. `None` and negative numbers mean no timeout.
///
/// Fractions count, to the nanosecond and rounded up.
#[inline]
pub fn from_milliseconds(object: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(object) = object else {
        return Ok(Timeout::Never);
    };
    if let Some(Ok(milliseconds)) = capi::as_exact_long(object).map(i32::try_from) {
        return Ok(from_nanoseconds(i64::from(milliseconds) * NANOSECONDS_PER_MILLISECOND));
    }
    if let Ok(float) = object.cast_exact::<PyFloat>()
        && (0.0..=MAX_MILLISECONDS).contains(&float.value())
    {
        return Ok(round_up(float.value()));
    }
    from_milliseconds_object(object)
}

fn from_milliseconds_object(object: &Bound<'_, PyAny>) -> PyResult<Timeout> {
    let nanoseconds = capi::milliseconds_to_nanoseconds(object).map_err(|error| {
        if error.is_instance_of::<PyTypeError>(object.py()) { wrong_type(object) } else { error }
    })?;
    if !is_in_range(object.py(), nanoseconds) {
        return Err(PyOverflowError::new_err("timeout is too large"));
    }
    Ok(from_nanoseconds(nanoseconds))
}

/// A timeout in seconds, as selectors have it. `None` means no timeout; 0 and negative numbers mean
/// not to wait. As in the `selectors` module, any type that can be multiplied by a float is
/// accepted.
pub fn from_seconds(object: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(object) = object else {
        return Ok(Timeout::Never);
    };
    let seconds = if let Ok(float) = object.cast_exact::<PyFloat>() {
        float.value()
    } else if let Some(Ok(seconds)) = capi::as_exact_long(object).map(i32::try_from) {
        seconds.into()
    } else {
        return from_seconds_object(object);
    };
    if seconds <= 0.0 {
        Ok(Timeout::After(Duration::ZERO))
    } else if seconds * 1e3 <= MAX_MILLISECONDS {
        Ok(round_up(seconds * 1e3))
    } else {
        from_seconds_object(object)
    }
}

/// Calls the same operators as `selectors.PollSelector`, in the same order.
#[cold]
fn from_seconds_object(seconds: &Bound<'_, PyAny>) -> PyResult<Timeout> {
    if seconds.le(0)? {
        return Ok(Timeout::After(Duration::ZERO));
    }
    let milliseconds = seconds.mul(1e3)?;
    let whole = seconds.py().import("math")?.call_method1("ceil", (&milliseconds,))?;
    let timeout = from_milliseconds((!whole.is_none()).then_some(&whole))?;
    // Unlike there, fractions of a millisecond count.
    match milliseconds.cast_exact::<PyFloat>() {
        Ok(float) if float.value() > 0.0 => Ok(round_up(float.value())),
        _ => Ok(timeout),
    }
}

/// Rounds milliseconds up to whole nanoseconds.
fn round_up(milliseconds: f64) -> Timeout {
    from_nanoseconds((milliseconds * NANOSECONDS_PER_MILLISECOND as f64).ceil() as i64)
}

#[inline]
fn from_nanoseconds(nanoseconds: i64) -> Timeout {
    match nanoseconds.try_into() {
        Ok(nanoseconds) => Timeout::After(Duration::from_nanos(nanoseconds)),
        Err(_) => Timeout::Never,
    }
}

/// Before Python 3.15, `select.poll` passes a C `int` of milliseconds to poll(2).
fn is_in_range(py: Python<'_>, nanoseconds: i64) -> bool {
    let min = i64::from(i32::MIN) * NANOSECONDS_PER_MILLISECOND;
    let max = i64::from(i32::MAX) * NANOSECONDS_PER_MILLISECOND;
    (min..=max).contains(&nanoseconds) || has_ppoll(py)
}

fn wrong_type(object: &Bound<'_, PyAny>) -> PyErr {
    if !has_ppoll(object.py()) {
        return PyTypeError::new_err("timeout must be an integer or None");
    }
    match object.get_type().fully_qualified_name() {
        Ok(type_name) => {
            PyTypeError::new_err(format!("timeout must be a real number or None, not {type_name}"))
        }
        Err(error) => error,
    }
}

/// Whether `select.poll` of this Python calls ppoll(2).
fn has_ppoll(py: Python<'_>) -> bool {
    py.version_info() >= (3, 15)
}
