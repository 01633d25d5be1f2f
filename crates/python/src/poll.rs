//! The polling object, and the function that makes one.

use pollset::{Builder, PollSet};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};
use try_lock::TryLock;

use crate::results::TupleCache;
use crate::stats::Stats;
use crate::{descriptor, engine, errors, interpreter_lock, mask, timeout, wait};

/// Make a polling object: a set of registered file descriptors that can be polled for events and
/// errors.
///
/// It behaves as the object that select.poll() returns:
/// https://docs.python.org/3/library/select.html#polling-objects
/// Its methods are register(), modify(), unregister(), poll() and stats(). help(pollset.poll())
/// describes them.
///
/// engine selects the system call of a wait: "poll" for poll(2), "epoll" for epoll(7) where the
/// system has it, "auto" or None for the cheaper one at each wait. The results are the same.
///
/// Raises ValueError if engine is another string, and TypeError if it is of another type.
#[pyfunction]
#[pyo3(signature = (*, engine=None))]
pub fn poll(engine: Option<&Bound<'_, PyAny>>) -> PyResult<Poll> {
    let set = Builder::new().engine(engine::convert(engine, "poll")?).build();
    Ok(Poll { set, tuples: TryLock::new(TupleCache::default()) })
}

/// A polling object, made by pollset.poll(): a set of registered file descriptors that can be
/// polled for events and errors.
///
/// len() returns the number of registered descriptors, `fd in p` tells whether fd is registered,
/// and iteration yields an (fd, eventmask) tuple for each, in registration order; later changes
/// don't affect it. A polling object is true even if it is empty, and equal only to itself. All
/// methods may be called from any thread at any time.
// Libraries make an object, poll once and drop it: the memory of a few is kept for the next ones.
#[pyclass(frozen, freelist = 8, name = "poll", module = "pollset")]
pub struct Poll {
    set: PollSet,
    /// Used by the thread that waits.
    tuples: TryLock<TupleCache>,
}

impl Drop for Poll {
    fn drop(&mut self) {
        interpreter_lock::drop_set(&mut self.set);
    }
}

#[pymethods]
impl Poll {
    /// Register a file descriptor.
    ///
    ///   fd
    ///     an integer, or an object with a fileno() method that returns one
    ///   eventmask
    ///     a bit mask of the events to report; POLLIN | POLLPRI | POLLOUT by default. POLLERR,
    ///     POLLHUP and POLLNVAL are always reported
    ///
    /// If the descriptor is already registered, this replaces its mask. It makes no system call: a
    /// number that is not open can be registered, and poll() reports it as POLLNVAL. The object
    /// stores the number, not fd. During a poll() in another thread, the change takes effect at the
    /// next poll().
    ///
    /// Raises ValueError for a negative number or mask, OverflowError for one that is too large,
    /// and TypeError for other types. Exceptions of fileno() are passed on.
    #[pyo3(
        signature = (fd, eventmask=mask::Optional::Omitted, /),
        text_signature = "($self, fd, eventmask=7, /)"
    )]
    fn register(&self, fd: &Bound<'_, PyAny>, eventmask: mask::Optional<'_, '_>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, eventmask.convert()?);
        self.set.register(fd, events).map_err(errors::exception)
    }

    /// Change the event mask of a registered file descriptor.
    ///
    ///   fd
    ///     an integer, or an object with a fileno() method that returns one
    ///   eventmask
    ///     a bit mask of the events to report, as in register()
    ///
    /// Raises FileNotFoundError, an OSError with errno ENOENT, if the descriptor is not registered,
    /// and the exceptions of register().
    #[pyo3(signature = (fd, eventmask, /), text_signature = "($self, fd, eventmask, /)")]
    fn modify(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.modify(fd, events).map_err(errors::not_found)
    }

    /// Remove a registered file descriptor. Call this before closing it.
    ///
    ///   fd
    ///     an integer, or an object with a fileno() method that returns one
    ///
    /// Raises KeyError if the descriptor is not registered, and the exceptions of register().
    #[pyo3(signature = (fd, /), text_signature = "($self, fd, /)")]
    fn unregister(&self, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        let fd = descriptor::convert(fd)?;
        self.set.unregister(fd).map_err(|error| PyKeyError::new_err(error.fd))
    }

    /// Wait until a registered file descriptor has events or errors, or the timeout has passed.
    ///
    ///   timeout
    ///     the longest time to wait, in milliseconds: an integer or a float, whose fraction counts.
    ///     0 polls without waiting. None or a negative number waits without a timeout
    ///
    /// Returns a list of (fd, event) tuples, one for each descriptor with events or errors, in
    /// registration order. The list is empty if the timeout has passed, which is never early.
    ///
    /// After a signal, its handler runs. The wait then continues with the rest of the timeout,
    /// unless the handler raises an exception.
    ///
    /// If the interpreter has other threads, they can run during each call. While they contend for
    /// the interpreter lock, a call may take 0.2 ms longer, and then wait for the lock.
    ///
    /// Raises RuntimeError if another poll() on this object is in progress, OSError with errno
    /// EINVAL if more descriptors are registered than the process may open, OverflowError if the
    /// timeout is too large, ValueError if it is NaN, and TypeError for other types. The object
    /// stays usable after each of them.
    #[pyo3(signature = (timeout=None, /), text_signature = "($self, timeout=None, /)")]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let timeout = timeout::from_milliseconds(timeout)?;
        let (mut waiting, ready) = wait::wait(py, &self.set, timeout)?;
        if ready == 0 {
            return Ok(PyList::empty(py));
        }
        match self.tuples.try_lock() {
            Some(mut tuples) => tuples.list(py, &mut waiting, ready),
            None => TupleCache::default().list(py, &mut waiting, ready),
        }
    }

    /// Return statistics of this object since it was made, as a pollset.Stats: the engine of the
    /// last wait, the number of waits with each engine, and more. See help(pollset.Stats).
    fn stats(&self) -> Stats {
        self.set.stats().into()
    }

    fn __len__(&self) -> usize {
        self.set.len()
    }

    // Objects of `select.poll` have no length, so they are true when they are empty.
    fn __bool__(&self) -> bool {
        true
    }

    fn __contains__(&self, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.set.contains(descriptor::convert(fd)?))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.set.iter().map(|(fd, events)| (fd, events.bits())))?.try_iter()
    }
}
