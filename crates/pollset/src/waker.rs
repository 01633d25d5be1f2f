//! Wakes a wait from another thread.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::sys::Wake;

/// Wakes a wait from another thread.
///
/// A waker is a descriptor like any other: register it for [`IN`](crate::PollFlags::IN). From a call
/// of [`wake`](Self::wake) on, every wait reports it until [`clear`](Self::clear) is called. So a
/// wake before the wait is not lost, and any number of wakes before a `clear` count as one.
///
/// Clear it first, and then look for the reason of the wake, such as a message in a queue. A wake
/// that comes in between then causes one look too many, never one too few.
///
/// ```
/// use std::sync::mpsc;
/// use pollset::{PollFlags, PollSet, Waker};
///
/// let set = PollSet::new();
/// let waker = Waker::new()?;
/// set.register(&waker, PollFlags::IN)?;
///
/// let (sender, receiver) = mpsc::channel();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         sender.send("news").unwrap();
///         waker.wake()
///     });
///     for event in set.poll(None)? {
///         if event.is_for(&waker) {
///             waker.clear()?;
///             assert_eq!(receiver.try_recv(), Ok("news"));
///         }
///     }
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Portability
///
/// An `eventfd(2)` on Linux, a non-blocking pair of sockets elsewhere; closed on `exec`. A forked child
/// shares it with its parent: a wake in one of them makes it ready in both.
pub struct Waker(pub(crate) Wake);

impl Waker {
    /// Makes a waker that is not ready.
    ///
    /// # Errors
    ///
    /// Those of the system, when it is out of descriptors (`EMFILE`, `ENFILE`) or of memory.
    ///
    /// # Examples
    ///
    /// See [`Waker`] for one in use, and [`wake`](Self::wake).
    pub fn new() -> io::Result<Self> {
        Wake::new().map(Self)
    }

    /// Makes it ready until it is cleared. Never blocks.
    ///
    /// # Errors
    ///
    /// Those of `write(2)` on an open descriptor. A correct program gets none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use pollset::Waker;
    /// let waker = Waker::new()?;
    /// waker.wake()?;
    /// waker.wake()?; // as if once
    /// waker.clear()?;
    /// waker.clear()?; // there is nothing to clear, which is no error
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wake(&self) -> io::Result<()> {
        self.0.set()
    }

    /// Makes it not ready, whether it was ready or not. Never blocks.
    ///
    /// # Errors
    ///
    /// Those of `read(2)` on an open descriptor. A correct program gets none.
    ///
    /// # Examples
    ///
    /// See [`wake`](Self::wake).
    pub fn clear(&self) -> io::Result<()> {
        self.0.clear()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd().as_raw_fd()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("fd", &self.as_raw_fd()).finish()
    }
}
