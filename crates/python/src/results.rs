//! Makes the lists that `poll()` and `select()` return.

#![allow(unsafe_code)]

use pollset::{Event, PollFlags, Waiting};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// A list with the entry that `make_entry` returns for each of the `ready` events of a finished
/// wait. Events for which it returns `None` are left out.
#[inline]
pub fn list<'py, T>(
    py: Python<'py>,
    waiting: &mut Waiting<'_>,
    ready: usize,
    mut make_entry: impl FnMut(usize, Event) -> PyResult<Option<Py<T>>>,
) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: this thread is attached to the interpreter, which returns a new reference to a
    // list, or null with an exception set.
    let list = unsafe {
        let list = ffi::PyList_New(ready as ffi::Py_ssize_t);
        Bound::from_owned_ptr_or_err(py, list)?.cast_into_unchecked::<PyList>()
    };
    let mut filled = 0;
    let mut events = [(0, Event { fd: 0, revents: PollFlags::empty() }); 8];
    // There may be fewer events than `ready`: a destructor that runs here may fork, and the child
    // may use the object.
    loop {
        let taken = waiting.take_events(&mut events);
        for &(slot, event) in &events[..taken] {
            if let Some(entry) = make_entry(slot, event)? {
                assert!(filled < ready);
                // SAFETY: `filled` is less than the length of the list, no other code has a
                // reference to the list, and this place in it is empty. The list takes over the
                // reference.
                unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), filled as _, entry.into_ptr()) };
                filled += 1;
            }
        }
        if taken < events.len() {
            break;
        }
    }
    Ok(if filled < ready { list.get_slice(0, filled) } else { list })
}

/// The tuples that `poll()` returned last.
///
/// Tuples are immutable, so while a descriptor has the same events, the same tuple is returned
/// again. That costs a reference count instead of three objects. The first wait of an object caches
/// nothing: many objects wait only once.
#[derive(Default)]
pub struct TupleCache {
    by_slot: Vec<Option<CachedTuple>>,
    has_waited: bool,
}

struct CachedTuple {
    event: Event,
    tuple: Py<PyTuple>,
}

impl TupleCache {
    /// A list of `(fd, revents)` tuples for the `ready` events of a finished wait.
    pub fn list<'py>(
        &mut self,
        py: Python<'py>,
        waiting: &mut Waiting<'_>,
        ready: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        self.by_slot.truncate(waiting.slots());
        let list = list(py, waiting, ready, |slot, event| self.tuple(py, slot, event).map(Some));
        self.has_waited = true;
        list
    }

    #[inline]
    fn tuple(&mut self, py: Python<'_>, slot: usize, event: Event) -> PyResult<Py<PyTuple>> {
        match self.by_slot.get(slot) {
            Some(Some(cached)) if cached.event == event => Ok(cached.tuple.clone_ref(py)),
            _ => self.new_tuple(py, slot, event),
        }
    }

    fn new_tuple(&mut self, py: Python<'_>, slot: usize, event: Event) -> PyResult<Py<PyTuple>> {
        let tuple = (event.fd, event.revents.bits()).into_pyobject(py)?.unbind();
        if self.has_waited {
            if self.by_slot.len() <= slot {
                self.by_slot.resize_with(slot + 1, || None);
            }
            self.by_slot[slot] = Some(CachedTuple { event, tuple: tuple.clone_ref(py) });
        }
        Ok(tuple)
    }
}
