//! The errors that are not the system's.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::RawFd;

use rustix::io::Errno;

/// The descriptor to modify or unregister is not registered.
///
/// It becomes an [`io::Error`] of kind [`NotFound`](io::ErrorKind::NotFound) under `?`. Its
/// [source](Error::source) is the system's error for that, `ENOENT`.
///
/// ```
/// use std::error::Error;
/// use std::io::ErrorKind;
/// use pollset::{PollFlags, PollSet};
///
/// let set = PollSet::new();
/// assert_eq!(set.modify(7, PollFlags::IN).unwrap_err().fd, 7);
/// let error = set.unregister(7).unwrap_err();
/// assert_eq!(error.to_string(), "file descriptor 7 is not registered");
/// assert!(error.source().is_some());
/// assert_eq!(std::io::Error::from(error).kind(), ErrorKind::NotFound);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotRegistered {
    /// The number that is not registered.
    pub fd: RawFd,
}

impl fmt::Display for NotRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file descriptor {} is not registered", self.fd)
    }
}

impl Error for NotRegistered {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Errno::NOENT)
    }
}

impl From<NotRegistered> for io::Error {
    fn from(error: NotRegistered) -> Self {
        io::Error::new(io::ErrorKind::NotFound, error)
    }
}

/// Another wait on the same set is in progress.
///
/// It is inside the [`io::Error`] of kind [`ResourceBusy`](io::ErrorKind::ResourceBusy) that the
/// second of two concurrent calls of [`poll`](crate::PollSet::poll) returns.
///
/// ```
/// use std::{thread, time::Duration};
/// use pollset::{ConcurrentPoll, PollFlags, PollSet, Waker};
///
/// let set = PollSet::new();
/// let waker = Waker::new()?;
/// set.register(&waker, PollFlags::IN)?;
/// thread::scope(|scope| {
///     scope.spawn(|| while set.poll(None).is_err() {});
///     let error = loop {
///         if let Err(error) = set.poll(Duration::ZERO) {
///             break error;
///         }
///     };
///     assert!(error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>()));
///     waker.wake()
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConcurrentPoll;

impl fmt::Display for ConcurrentPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("concurrent poll() invocation")
    }
}

impl Error for ConcurrentPoll {}

impl From<ConcurrentPoll> for io::Error {
    fn from(error: ConcurrentPoll) -> Self {
        io::Error::new(io::ErrorKind::ResourceBusy, error)
    }
}
