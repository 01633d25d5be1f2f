//! The compiled half of the Python package `pollset`: the polling object, nothing else.
//!
//! All that polls is in the crate `pollset`. What is here turns Python's arguments into its types
//! and its answers into Python's, to the letter of `select.poll`.

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

#[pyo3::pymodule(gil_used = false)] // the core has locks of its own
mod _pollset {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::poll::poll;

    #[pymodule_export]
    use crate::selector::key_poll;

    #[pymodule_export]
    use crate::stats::Stats;

    #[pymodule_export]
    #[allow(non_upper_case_globals)] // Python's name for it
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// The public function says where it is to be imported from, as the classes do.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.getattr("poll")?.setattr("__module__", "pollset")
    }
}
