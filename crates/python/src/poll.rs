//! The polling object, and the function that makes one.

use pollset::{Builder, PollSet};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};
use try_lock::TryLock;

use crate::results::Tuples;
use crate::stats::Stats;
use crate::{descriptor, engine, errors, interpreter_lock, mask, timeout, wait};

/// Make a polling object: a set of file descriptors, each with the events that it is watched for,
/// that can be asked which of them have events or errors to report.
///
/// It does what select.poll() does: https://docs.python.org/3/library/select.html#polling-objects
/// Its methods are register(), modify(), unregister(), poll() and stats(); help(pollset.poll()) shows
/// them.
///
/// engine says what the kernel is asked with: "poll" is always poll(2), "epoll" always epoll(7)
/// where the system has it, "auto" or None whichever is cheaper for each wait. The answers are the
/// same. Raises ValueError for another string, TypeError for what is not a string.
#[pyfunction]
#[pyo3(signature = (*, engine=None))]
pub fn poll(engine: Option<&Bound<'_, PyAny>>) -> PyResult<Poll> {
    let set = Builder::new().engine(engine::convert(engine, "poll")?).build();
    Ok(Poll { set, tuples: TryLock::new(Tuples::default()) })
}

/// A polling object, made by pollset.poll(): a set of file descriptors, each with the events that it
/// is watched for, that can be asked which of them have events or errors to report.
///
/// len() is the number of registered descriptors, `fd in p` says whether one is registered, and
/// iteration gives a (fd, eventmask) tuple for each, in registration order, as they are at that
/// moment. A polling object is true even if it is empty, and equal only to itself. All methods may
/// be called from any thread at any time.
#[pyclass(frozen, name = "poll", module = "pollset")]
pub struct Poll {
    set: PollSet,
    /// Used by the one thread that waits.
    tuples: TryLock<Tuples>,
}

impl Drop for Poll {
    fn drop(&mut self) {
        interpreter_lock::drop_set(&mut self.set);
    }
}

#[pymethods]
impl Poll {
    /// Watch a file descriptor.
    ///
    ///   fd
    ///     an integer, or an object with a fileno() method that returns one
    ///   eventmask
    ///     the events to watch for, or-ed together; POLLIN | POLLPRI | POLLOUT if not given.
    ///     POLLERR, POLLHUP and POLLNVAL are reported whether asked for or not
    ///
    /// If it is registered, only its mask changes. The kernel isn't asked: a number that is not
    /// open can be registered, and is reported as POLLNVAL. The object keeps the number and not fd.
    /// During a poll() in another thread, the change counts from the next poll() on.
    ///
    /// Raises ValueError for a negative number or mask, OverflowError for one that is too large,
    /// TypeError for other types, and whatever fileno() raises.
    #[pyo3(
        signature = (fd, eventmask=mask::Optional::Omitted, /),
        text_signature = "($self, fd, eventmask=7, /)"
    )]
    fn register(&self, fd: &Bound<'_, PyAny>, eventmask: mask::Optional<'_, '_>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, eventmask.convert()?);
        self.set.register(fd, events).map_err(errors::exception)
    }

    /// Watch a registered file descriptor for other events.
    ///
    ///   fd
    ///     an integer, or an object with a fileno() method that returns one
    ///   eventmask
    ///     the events to watch for, as in register()
    ///
    /// Raises FileNotFoundError, an OSError with errno ENOENT, if it is not registered; otherwise
    /// as register().
    #[pyo3(signature = (fd, eventmask, /), text_signature = "($self, fd, eventmask, /)")]
    fn modify(&self, fd: &Bound<'_, PyAny>, eventmask: &Bound<'_, PyAny>) -> PyResult<()> {
        let (fd, events) = (descriptor::convert(fd)?, mask::convert(eventmask)?);
        self.set.modify(fd, events).map_err(errors::exception)
    }

    /// Stop watching a file descriptor. Do this before it is closed.
    ///
    ///   fd
    ///     an integer, or an object with a fileno() method that returns one
    ///
    /// Raises KeyError if it is not registered; otherwise as register().
    #[pyo3(signature = (fd, /), text_signature = "($self, fd, /)")]
    fn unregister(&self, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        let fd = descriptor::convert(fd)?;
        self.set.unregister(fd).map_err(|error| PyKeyError::new_err(error.fd))
    }

    /// Wait until a registered file descriptor has events or errors to report.
    ///
    ///   timeout
    ///     how long to wait at most, in milliseconds: an integer or a float, whose fraction counts.
    ///     0: ask, and don't wait. None, or less than 0: as long as it takes
    ///
    /// Returns a list of (fd, event) tuples, one for each descriptor that has something to report,
    /// in registration order. It is empty if the time was up; it is never up early.
    ///
    /// When a signal comes, its handler runs, and the wait goes on with what is left of the timeout
    /// unless the handler raised.
    ///
    /// If the interpreter has other threads, they can run during each call. While they contend for
    /// the interpreter lock, a call may take 0.2 ms longer, and then wait for the lock.
    ///
    /// Raises RuntimeError if another poll() on this object is in progress, OSError with errno
    /// EINVAL if more descriptors are registered than the process may open, OverflowError for a
    /// timeout that is too large, ValueError for NaN, and TypeError for other types. The object
    /// stays usable after each of them.
    #[pyo3(signature = (timeout=None, /), text_signature = "($self, timeout=None, /)")]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let timeout = timeout::convert(timeout)?;
        let (mut waiting, ready) = wait::wait(py, &self.set, timeout)?;
        if ready == 0 {
            return Ok(PyList::empty(py));
        }
        match self.tuples.try_lock() {
            Some(mut tuples) => tuples.list(py, &mut waiting, ready),
            None => Tuples::default().list(py, &mut waiting, ready),
        }
    }

    /// Tell what this object has done since it was made: which engine answered its last wait, and how
    /// many waits each has answered, as a pollset.Stats. help(pollset.Stats) has all fields.
    fn stats(&self) -> Stats {
        self.set.stats().into()
    }

    fn __len__(&self) -> usize {
        self.set.len()
    }

    // An object of `select.poll` has no length, so it is true when it is empty.
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
