//! The lists that are returned.

#![allow(unsafe_code)]

use pollset::{Event, PollFlags, Waiting};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// A list of what `entry` makes of each of the `ready` answers of a wait that is over. It may make
/// nothing of some.
#[inline]
pub fn list<'py, T>(
    py: Python<'py>,
    waiting: &mut Waiting<'_>,
    ready: usize,
    mut entry: impl FnMut(usize, Event) -> PyResult<Option<Py<T>>>,
) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: this thread is attached to the interpreter, which returns a new reference to a
    // list, or null with an exception set.
    let list = unsafe {
        let list = ffi::PyList_New(ready as ffi::Py_ssize_t);
        Bound::from_owned_ptr_or_err(py, list)?.cast_into_unchecked::<PyList>()
    };
    let mut filled = 0;
    let mut answers = [(0, Event { fd: 0, revents: PollFlags::empty() }); 8];
    // There may be fewer answers than ready ones: a destructor that runs meanwhile may fork, and
    // the child use the object.
    loop {
        let taken = waiting.take_answers(&mut answers);
        for &(slot, event) in &answers[..taken] {
            if let Some(entry) = entry(slot, event)? {
                assert!(filled < ready);
                // SAFETY: `filled` is less than the length of the list, which nobody else has seen,
                // and that place in it is empty. The list takes over the reference.
                unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), filled as _, entry.into_ptr()) };
                filled += 1;
            }
        }
        if taken < answers.len() {
            break;
        }
    }
    Ok(if filled < ready { list.get_slice(0, filled) } else { list })
}

/// The tuples that were given last.
///
/// A tuple can't be changed, so while a descriptor has the same to report, its tuple is given again:
/// that costs a reference count instead of three objects. Nothing is kept of an object's first wait,
/// which for many is the only one.
#[derive(Default)]
pub struct Tuples {
    by_slot: Vec<Option<Known>>,
    has_waited: bool,
}

struct Known {
    event: Event,
    tuple: Py<PyTuple>,
}

impl Tuples {
    /// A list of `(fd, revents)` tuples for the `ready` answers of a wait that is over.
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
            Some(Some(known)) if known.event == event => Ok(known.tuple.clone_ref(py)),
            _ => self.new_tuple(py, slot, event),
        }
    }

    fn new_tuple(&mut self, py: Python<'_>, slot: usize, event: Event) -> PyResult<Py<PyTuple>> {
        let tuple = (event.fd, event.revents.bits()).into_pyobject(py)?.unbind();
        if self.has_waited {
            if self.by_slot.len() <= slot {
                self.by_slot.resize_with(slot + 1, || None);
            }
            self.by_slot[slot] = Some(Known { event, tuple: tuple.clone_ref(py) });
        }
        Ok(tuple)
    }
}
