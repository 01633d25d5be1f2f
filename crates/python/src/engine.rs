//! Converts the `engine` argument.

use pollset::Engine;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// `object` is an engine's name or `None`. Error messages name `callee`.
pub fn convert(object: Option<&Bound<'_, PyAny>>, callee: &str) -> PyResult<Option<Engine>> {
    let Some(object) = object else { return Ok(None) };
    let Ok(name) = object.cast::<PyString>() else {
        let type_name = object.get_type().name()?;
        let text = format!("{callee}() argument 'engine' must be str or None, not {type_name}");
        return Err(PyTypeError::new_err(text));
    };
    match name.to_str() {
        Ok("auto") => Ok(None),
        Ok("poll") => Ok(Some(Engine::Poll)),
        Ok("epoll") => Ok(Some(Engine::Epoll)),
        // An error of `to_str()` means lone surrogates: also an unknown name.
        _ => Err(PyValueError::new_err(format!(
            "{callee}() argument 'engine' must be 'auto', 'poll', 'epoll' or None, not {}",
            name.repr()?
        ))),
    }
}

/// The name of an engine.
pub fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Poll => "poll",
        Engine::Epoll => "epoll",
        _ => "another engine",
    }
}
