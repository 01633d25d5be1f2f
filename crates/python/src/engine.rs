//! The argument that says what the kernel is asked with.

use pollset::Engine;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// An engine's name, or `None`. `callee` is what was called with it.
pub fn convert(object: Option<&Bound<'_, PyAny>>, callee: &str) -> PyResult<Engine> {
    let Some(object) = object else { return Ok(Engine::Auto) };
    let Ok(name) = object.cast::<PyString>() else {
        let kind = object.get_type().name()?;
        let text = format!("{callee}() argument 'engine' must be str or None, not {kind}");
        return Err(PyTypeError::new_err(text));
    };
    match name.to_str() {
        Ok("auto") => Ok(Engine::Auto),
        Ok("poll") => Ok(Engine::Poll),
        Ok("epoll") => Ok(Engine::Epoll),
        // With lone surrogates it can't be read as UTF-8, which is no engine either.
        _ => Err(PyValueError::new_err(format!(
            "{callee}() argument 'engine' must be 'auto', 'poll', 'epoll' or None, not {}",
            name.repr()?
        ))),
    }
}

/// The name of what answered a wait.
pub fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Auto => "auto",
        Engine::Poll => "poll",
        Engine::Epoll => "epoll",
    }
}
