//! What a `selectors.BaseSelector` waits with.

use pollset::{Event, PollFlags, PollSet};
use pyo3::exceptions::PyInterruptedError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyTuple};
use try_lock::TryLock;

use crate::results::{Kept, list};
use crate::{descriptor, errors, mask, timeout, wait};

/// `selectors.EVENT_READ` and `EVENT_WRITE`.
const READ: u8 = 1;
const WRITE: u8 = 2;

/// A polling object that knows selector keys: select() returns (key, events) tuples.
#[pyclass(frozen, module = "pollset._pollset")]
pub struct KeyPoll {
    set: PollSet,
    /// Used by the one thread that waits.
    kept: TryLock<Kept<Selected>>,
}

/// A `(key, events)` tuple, and what it was made of.
struct Selected {
    event: Event,
    fd: Py<PyInt>,
    key: Py<PyAny>,
    tuple: Py<PyTuple>,
}

/// Makes one. A function, so that a class can have it as an attribute.
#[pyfunction]
pub fn key_poll() -> KeyPoll {
    KeyPoll { set: PollSet::new(), kept: TryLock::new(Kept::new()) }
}

#[pymethods]
impl KeyPoll {
    #[pyo3(signature = (fd, eventmask, /))]
    fn register(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = fd.py();
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.register(fd, events).map_err(|error| errors::exception(py, error))
    }

    #[pyo3(signature = (fd, eventmask, /))]
    fn modify(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = fd.py();
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.modify(fd, events).map_err(|error| errors::exception(py, error))
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
        let mut unkept = Kept::new();
        let mut lock = self.kept.try_lock();
        let kept = lock.as_deref_mut().unwrap_or(&mut unkept);
        kept.begin(waiting.slots());
        let selected = list(py, &mut waiting, ready, |slot, event| kept.select(slot, event, keys));
        kept.end();
        selected
    }
}

impl Kept<Selected> {
    /// The tuple that was given last, if the descriptor still has the same key and the same to
    /// report.
    #[inline]
    fn select(
        &mut self,
        slot: usize,
        event: Event,
        keys: &Bound<'_, PyDict>,
    ) -> PyResult<Option<Py<PyTuple>>> {
        let py = keys.py();
        let Some(known) = self.get(slot).filter(|known| known.event == event) else {
            let fd = event.fd.into_pyobject(py)?.unbind();
            let Some(key) = keys.get_item(&fd)? else { return Ok(None) };
            return self.new_tuple(slot, event, fd, key).map(Some);
        };
        match keys.get_item(&known.fd)? {
            Some(key) if key.is(&known.key) => Ok(Some(known.tuple.clone_ref(py))),
            Some(key) => {
                let fd = known.fd.clone_ref(py);
                self.new_tuple(slot, event, fd, key).map(Some)
            }
            None => Ok(None),
        }
    }

    fn new_tuple(
        &mut self,
        slot: usize,
        event: Event,
        fd: Py<PyInt>,
        key: Bound<'_, PyAny>,
    ) -> PyResult<Py<PyTuple>> {
        let py = key.py();
        let wanted: u8 = key.getattr("events")?.extract()?;
        let ready = ready_events(event.revents) & wanted;
        let tuple = (&key, ready).into_pyobject(py)?.unbind();
        self.keep(slot, || Selected { event, fd, key: key.unbind(), tuple: tuple.clone_ref(py) });
        Ok(tuple)
    }
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
