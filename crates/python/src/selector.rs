//! The polling object of `pollset.PollSelector`.

use pollset::{Builder, Event, PollFlags, PollSet};
use pyo3::exceptions::PyInterruptedError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyTuple};

use crate::results::list;
use crate::stats::Stats;
use crate::{descriptor, engine, errors, interpreter_lock, mask, timeout, wait};

/// `selectors.EVENT_READ` and `EVENT_WRITE`.
const READ: u8 = 1;
const WRITE: u8 = 2;

/// The index of `events` in the named tuple `selectors.SelectorKey`.
const EVENTS_INDEX: usize = 2;

/// A polling object for selectors: select() returns (key, events) tuples.
#[pyclass(frozen, module = "pollset._pollset")]
pub struct SelectorPoll {
    set: PollSet,
}

/// Makes a polling object for a selector. A builtin function can be a class attribute without
/// becoming a method.
///
/// The audit may be less frequent, because the documentation of `selectors` demands that file
/// objects are unregistered before they are closed.
#[pyfunction]
#[pyo3(signature = (*, engine=None))]
pub fn selector_poll(engine: Option<&Bound<'_, PyAny>>) -> PyResult<SelectorPoll> {
    let engine = engine::convert(engine, "PollSelector")?;
    Ok(SelectorPoll { set: Builder::new().engine(engine).relaxed_audit().build() })
}

impl Drop for SelectorPoll {
    fn drop(&mut self) {
        interpreter_lock::drop_set(&mut self.set);
    }
}

#[pymethods]
impl SelectorPoll {
    #[pyo3(signature = (fd, eventmask, /))]
    fn register(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.register(fd, events).map_err(errors::exception)
    }

    #[pyo3(signature = (fd, eventmask, /))]
    fn modify(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.modify(fd, events).map_err(errors::not_found)
    }

    /// Does nothing if `fd` is not registered.
    #[pyo3(signature = (fd, /))]
    fn unregister(&self, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = self.set.unregister(descriptor::convert(fd)?);
        Ok(())
    }

    /// Waits up to `timeout` seconds. Returns a list of (key, events) tuples, one for each ready
    /// descriptor. `keys` maps descriptors to keys; descriptors without a key are left out.
    #[pyo3(signature = (keys, timeout, /))]
    fn select<'py>(
        &self,
        keys: &Bound<'py, PyDict>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = keys.py();
        let timeout = timeout::from_seconds(timeout)?;
        let (mut waiting, ready) = match wait::wait(py, &self.set, timeout) {
            // A signal handler raised it. Selectors then return an empty list.
            Err(error) if error.is_instance_of::<PyInterruptedError>(py) => {
                return Ok(PyList::empty(py));
            }
            outcome => outcome?,
        };
        if ready == 0 {
            return Ok(PyList::empty(py));
        }
        list(py, &mut waiting, ready, |_, event| key_and_events(event, keys))
    }

    fn stats(&self) -> Stats {
        self.set.stats().into()
    }
}

/// A (key, events) tuple, or `None` if the descriptor has no key. Unlike the tuples of `poll()`,
/// these are not cached: a cached key would keep the caller's data alive after it is unregistered.
fn key_and_events(event: Event, keys: &Bound<'_, PyDict>) -> PyResult<Option<Py<PyTuple>>> {
    let Some(key) = keys.get_item(event.fd)? else { return Ok(None) };
    let interest = key.cast::<PyTuple>()?.get_item(EVENTS_INDEX)?;
    let ready = ready_events(event.revents);
    let tuple = match interest.cast_exact::<PyInt>().map(|int| int.extract::<u8>()) {
        Ok(Ok(interest)) => (key, ready & interest).into_pyobject(keys.py()),
        // Other types, such as `enum.IntFlag`, may overload `&`.
        _ => (key, ready.into_pyobject(keys.py())?.bitand(interest)?).into_pyobject(keys.py()),
    };
    Ok(Some(tuple?.unbind()))
}

/// Errors and hang-ups count as readable and as writable.
fn ready_events(revents: PollFlags) -> u8 {
    let mut events = 0;
    if revents.intersects(PollFlags::OUT.complement()) {
        events |= READ;
    }
    if revents.intersects(PollFlags::IN.complement()) {
        events |= WRITE;
    }
    events
}
