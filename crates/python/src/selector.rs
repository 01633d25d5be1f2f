//! What a `selectors.BaseSelector` waits with.

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

/// Where a `selectors.SelectorKey`, a named tuple, has its events.
const EVENTS: usize = 2;

/// A polling object that knows selector keys: select() returns (key, events) tuples.
#[pyclass(frozen, module = "pollset._pollset")]
pub struct KeyPoll {
    set: PollSet,
}

/// Makes one. A function, so that a class can have it as an attribute.
///
/// The users of a selector are told to unregister before they close.
#[pyfunction]
#[pyo3(signature = (*, engine=None))]
pub fn key_poll(engine: Option<&Bound<'_, PyAny>>) -> PyResult<KeyPoll> {
    let engine = engine::convert(engine, "PollSelector")?;
    Ok(KeyPoll { set: Builder::new().engine(engine).audit_at_leisure().build() })
}

impl Drop for KeyPoll {
    fn drop(&mut self) {
        interpreter_lock::drop_set(&mut self.set);
    }
}

#[pymethods]
impl KeyPoll {
    #[pyo3(signature = (fd, eventmask, /))]
    fn register(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.register(fd, events).map_err(errors::exception)
    }

    #[pyo3(signature = (fd, eventmask, /))]
    fn modify(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.modify(fd, events).map_err(errors::exception)
    }

    /// Whether it is registered makes no difference.
    #[pyo3(signature = (fd, /))]
    fn unregister(&self, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = self.set.unregister(descriptor::convert(fd)?);
        Ok(())
    }

    /// A list of (key, events) tuples for what is ready. `keys` has the key of each descriptor;
    /// those without one are passed over. `timeout` is in seconds.
    #[pyo3(signature = (keys, timeout, /))]
    fn select<'py>(
        &self,
        keys: &Bound<'py, PyDict>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = keys.py();
        let timeout = timeout::of_seconds(timeout)?;
        let (mut waiting, ready) = match wait::wait(py, &self.set, timeout) {
            // A handler of a signal raised it: to the callers of a selector, nothing was ready.
            Err(error) if error.is_instance_of::<PyInterruptedError>(py) => {
                return Ok(PyList::empty(py));
            }
            outcome => outcome?,
        };
        if ready == 0 {
            return Ok(PyList::empty(py));
        }
        list(py, &mut waiting, ready, |_, event| selected(event, keys))
    }

    fn stats(&self) -> Stats {
        self.set.stats().into()
    }
}

/// Nothing if the descriptor has no key. Nothing is kept either, unlike the tuples of `poll()`: a key
/// refers to data of the caller's, which has to go when the caller lets go of it.
fn selected(event: Event, keys: &Bound<'_, PyDict>) -> PyResult<Option<Py<PyTuple>>> {
    let Some(key) = keys.get_item(event.fd)? else { return Ok(None) };
    let wanted = key.cast::<PyTuple>()?.get_item(EVENTS)?;
    let ready = ready_events(event.revents);
    let selected = match wanted.cast_exact::<PyInt>().map(|int| int.extract::<u8>()) {
        Ok(Ok(wanted)) => (key, ready & wanted).into_pyobject(keys.py()),
        // A flag, for one, decides itself what `&` makes of it.
        _ => (key, ready.into_pyobject(keys.py())?.bitand(wanted)?).into_pyobject(keys.py()),
    };
    Ok(Some(selected?.unbind()))
}

/// Errors and hang-ups are for readers and writers.
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
