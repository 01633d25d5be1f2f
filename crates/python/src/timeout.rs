//! The argument that says how long to wait.

use std::time::Duration;

use pollset::Timeout;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use crate::capi;

const NANOSECONDS: i64 = 1_000_000; // in a millisecond
/// Milliseconds that every Python accepts.
const MOST: f64 = i32::MAX as f64;

/// Milliseconds. `None` and what is negative: for as long as it takes.
///
/// Fractions count, to the nanosecond and rounded up.
#[inline]
pub fn convert(object: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(object) = object else {
        return Ok(Timeout::Never);
    };
    if let Some(Ok(milliseconds)) = capi::as_exact_long(object).map(i32::try_from) {
        return Ok(of_nanoseconds(i64::from(milliseconds) * NANOSECONDS));
    }
    if let Ok(float) = object.cast_exact::<PyFloat>()
        && (0.0..=MOST).contains(&float.value())
    {
        return Ok(rounded_up(float.value()));
    }
    convert_object(object)
}

fn convert_object(object: &Bound<'_, PyAny>) -> PyResult<Timeout> {
    let nanoseconds = capi::nanoseconds_of_milliseconds(object).map_err(|error| {
        if error.is_instance_of::<PyTypeError>(object.py()) { wrong_type(object) } else { error }
    })?;
    if !is_in_range(object.py(), nanoseconds) {
        return Err(PyOverflowError::new_err("timeout is too large"));
    }
    Ok(of_nanoseconds(nanoseconds))
}

/// Seconds, as selectors count them: `None` for as long as it takes; 0 and what is negative: ask, and
/// don't wait. Any number that can be multiplied by a float, as in the `selectors` module.
pub fn of_seconds(object: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(object) = object else {
        return Ok(Timeout::Never);
    };
    let seconds = if let Ok(float) = object.cast_exact::<PyFloat>() {
        float.value()
    } else if let Some(Ok(seconds)) = capi::as_exact_long(object).map(i32::try_from) {
        seconds.into()
    } else {
        return of_odd_seconds(object);
    };
    if seconds <= 0.0 {
        Ok(Timeout::After(Duration::ZERO))
    } else if seconds * 1e3 <= MOST {
        Ok(rounded_up(seconds * 1e3))
    } else {
        of_odd_seconds(object)
    }
}

/// The standard class converts seconds like this.
#[cold]
fn of_odd_seconds(seconds: &Bound<'_, PyAny>) -> PyResult<Timeout> {
    if seconds.le(0)? {
        return Ok(Timeout::After(Duration::ZERO));
    }
    let milliseconds = seconds.mul(1e3)?;
    let whole = seconds.py().import("math")?.call_method1("ceil", (&milliseconds,))?;
    let timeout = convert((!whole.is_none()).then_some(&whole))?;
    // But here fractions count.
    match milliseconds.cast_exact::<PyFloat>() {
        Ok(float) if float.value() > 0.0 => Ok(rounded_up(float.value())),
        _ => Ok(timeout),
    }
}

fn rounded_up(milliseconds: f64) -> Timeout {
    of_nanoseconds((milliseconds * NANOSECONDS as f64).ceil() as i64)
}

#[inline]
fn of_nanoseconds(nanoseconds: i64) -> Timeout {
    match nanoseconds.try_into() {
        Ok(nanoseconds) => Timeout::After(Duration::from_nanos(nanoseconds)),
        Err(_) => Timeout::Never,
    }
}

/// Before Python 3.15, `select.poll` passes a C `int` of milliseconds on to poll(2).
fn is_in_range(py: Python<'_>, nanoseconds: i64) -> bool {
    let range = i64::from(i32::MIN) * NANOSECONDS..=i64::from(i32::MAX) * NANOSECONDS;
    range.contains(&nanoseconds) || has_ppoll(py)
}

fn wrong_type(object: &Bound<'_, PyAny>) -> PyErr {
    if !has_ppoll(object.py()) {
        return PyTypeError::new_err("timeout must be an integer or None");
    }
    match object.get_type().fully_qualified_name() {
        Ok(kind) => {
            PyTypeError::new_err(format!("timeout must be a real number or None, not {kind}"))
        }
        Err(error) => error,
    }
}

fn has_ppoll(py: Python<'_>) -> bool {
    py.version_info() >= (3, 15)
}
