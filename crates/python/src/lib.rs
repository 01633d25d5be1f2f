//! The compiled module of the Python package `pollset`.
//!
//! The crate `pollset` does the polling. This crate converts arguments and results between Python
//! and Rust, exactly as `select.poll` does.

#![deny(unsafe_code)]

mod capi;
mod descriptor;
mod engine;
mod errors;
mod interpreter_lock;
mod mask;
mod poll;
mod results;
mod selector;
mod stats;
mod timeout;
mod wait;

#[pyo3::pymodule(gil_used = false)] // the crate `pollset` has its own locks
mod _pollset {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::poll::poll;

    #[pymodule_export]
    use crate::selector::selector_poll;

    #[pymodule_export]
    use crate::stats::Stats;

    #[pymodule_export]
    #[allow(non_upper_case_globals)] // a conventional name in Python
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Gives the function the name of its public module, as the classes have it.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.getattr("poll")?.setattr("__module__", "pollset")
    }
}
