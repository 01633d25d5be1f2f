//! The argument that says how long to wait.

use std::time::Duration;

use pollset::Timeout;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use crate::capi;

const NANOSECONDS: i64 = 1_000_000; // in a millisecond

/// Milliseconds. `None` and what is negative: for as long as it takes.
///
/// Fractions count, to the nanosecond and rounded up. Still the range is that of `select.poll`: a C
/// `int` of milliseconds.
pub fn convert(object: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(object) = object else {
        return Ok(Timeout::Never);
    };
    let nanoseconds = match object.cast::<PyFloat>() {
        Ok(float) => of_float(object.py(), float.value())?,
        Err(_) => of_integer(object)?,
    };
    in_range(nanoseconds)
}

/// Seconds, as selectors count them: `None` for as long as it takes; 0 and what is negative: ask, and
/// don't wait. Any number that can be multiplied by a float, as in the `selectors` module.
pub fn of_seconds(object: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(object) = object else {
        return Ok(Timeout::Never);
    };
    let milliseconds = match object.cast::<PyFloat>() {
        Ok(float) => float.value() * 1e3,
        Err(_) if object.le(0)? => 0.0,
        Err(_) => object.mul(1e3)?.extract()?,
    };
    if milliseconds <= 0.0 {
        return Ok(Timeout::After(Duration::ZERO));
    }
    in_range(of_float(object.py(), milliseconds)?)
}

fn in_range(nanoseconds: i64) -> PyResult<Timeout> {
    let range = i64::from(i32::MIN) * NANOSECONDS..=i64::from(i32::MAX) * NANOSECONDS;
    if !range.contains(&nanoseconds) {
        return Err(PyOverflowError::new_err("timeout is too large"));
    }
    Ok(match u64::try_from(nanoseconds) {
        Ok(nanoseconds) => Timeout::After(Duration::from_nanos(nanoseconds)),
        Err(_) => Timeout::Never,
    })
}

fn of_integer(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = object.py();
    let milliseconds = capi::as_long_long(object).map_err(|error| {
        if error.is_instance_of::<PyTypeError>(py) {
            PyTypeError::new_err("timeout must be an integer or None")
        } else if error.is_instance_of::<PyOverflowError>(py) {
            too_large(py)
        } else {
            error
        }
    })?;
    milliseconds.checked_mul(NANOSECONDS).ok_or_else(|| too_large(py))
}

/// Rounds away from zero, so that a wait is not early and nothing negative becomes zero.
fn of_float(py: Python<'_>, milliseconds: f64) -> PyResult<i64> {
    if milliseconds.is_nan() {
        return Err(PyValueError::new_err("Invalid value NaN (not a number)"));
    }
    let nanoseconds = milliseconds * NANOSECONDS as f64;
    let nanoseconds = if nanoseconds < 0.0 { nanoseconds.floor() } else { nanoseconds.ceil() };
    if (i64::MIN as f64..-(i64::MIN as f64)).contains(&nanoseconds) {
        Ok(nanoseconds as i64)
    } else if py.version_info() >= (3, 11) {
        Err(PyOverflowError::new_err("timestamp out of range for platform time_t"))
    } else {
        Err(too_large(py))
    }
}

fn too_large(py: Python<'_>) -> PyErr {
    let name = if py.version_info() >= (3, 13) { "PyTime_t" } else { "_PyTime_t" };
    PyOverflowError::new_err(format!("timestamp too large to convert to C {name}"))
}
