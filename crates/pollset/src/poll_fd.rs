//! Polls an array once, without an object.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::Errno;

use crate::{Descriptor, Event, PollFlags, Timeout, sys};

/// Polls the descriptors of an array, and returns the number of those that are ready; 0 means that the
/// time was up. Afterwards, [`revents`](PollFd::revents) of each entry has its events.
///
/// For programs that poll a few descriptors once: it makes one call of poll(2) and allocates nothing.
/// A [`PollSet`](crate::PollSet) costs less if the same descriptors are polled again and again and
/// there are many of them.
///
/// Timeouts and signals are those of [`PollSet::poll`](crate::PollSet::poll): the call is never early,
/// and a signal doesn't end it; it goes on with the rest of the timeout.
///
/// # Errors
///
/// After an error, `revents` are not specified.
///
/// - [`InvalidInput`](io::ErrorKind::InvalidInput) (`EINVAL`): there are more entries than the process
///   may open descriptors (`RLIMIT_NOFILE`).
/// - [`OutOfMemory`](io::ErrorKind::OutOfMemory) (`ENOMEM`): the kernel has no memory.
///
/// # Portability
///
/// Works with every descriptor that the system's `poll(2)` works with; see
/// [`PollSet::poll`](crate::PollSet::poll).
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/poll.html),
/// [Linux](https://man7.org/linux/man-pages/man2/poll.2.html)
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::time::Duration;
/// use pollset::{PollFd, PollFlags, poll};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let mut fds = [PollFd::new(&reader, PollFlags::IN), PollFd::new(&writer, PollFlags::empty())];
/// assert_eq!(poll(&mut fds, Duration::from_millis(1))?, 0); // timed out
///
/// writer.write_all(b"hello")?;
/// assert_eq!(poll(&mut fds, None)?, 1);
/// assert_eq!(fds[0].revents(), PollFlags::IN);
/// assert!(fds[1].revents().is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn poll(fds: &mut [PollFd], timeout: impl Into<Timeout>) -> io::Result<usize> {
    poll_until(fds, timeout.into())
}

#[inline(always)] // a call costs 10 to 20 ns, 5 % of a system call
fn poll_until(fds: &mut [PollFd], mut timeout: Timeout) -> io::Result<usize> {
    loop {
        let left = if timeout.is_zero() { Some(Duration::ZERO) } else { timeout.start() };
        match sys::poll(sys::entries_of(fds), left) {
            // The system may be early: see `sys::poll`.
            Ok(0) if !timeout.is_zero() && !timeout.is_over() => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

/// A descriptor for [`poll`], the events that it is watched for, and those that have occurred.
///
/// It has the layout of the system's `struct pollfd`. An entry with a negative number is ignored, and
/// reports nothing.
///
/// ```
/// use pollset::{PollFd, PollFlags, poll};
///
/// let mut fds = [PollFd::new(-1, PollFlags::IN), PollFd::new(i32::MAX, PollFlags::IN)];
/// assert_eq!(poll(&mut fds, None)?, 1);
/// assert_eq!(fds.map(|fd| fd.revents()), [PollFlags::empty(), PollFlags::NVAL]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// Watches `fd` for `events`. Bits without a name are left out.
    ///
    /// ```
    /// use pollset::{PollFd, PollFlags};
    ///
    /// let stdin = PollFd::new(&std::io::stdin(), PollFlags::IN);
    /// assert_eq!((stdin.fd(), stdin.events()), (0, PollFlags::IN));
    /// ```
    #[inline]
    #[must_use]
    pub fn new(fd: impl Descriptor, events: PollFlags) -> Self {
        let events = (events & PollFlags::all()).bits() as i16;
        Self(libc::pollfd { fd: fd.raw_fd(), events, revents: 0 })
    }

    /// The number.
    ///
    /// ```
    /// # use pollset::{PollFd, PollFlags};
    /// assert_eq!(PollFd::new(7, PollFlags::IN).fd(), 7);
    /// ```
    #[inline]
    #[must_use]
    pub const fn fd(&self) -> RawFd {
        self.0.fd
    }

    /// The events that the descriptor is watched for.
    ///
    /// ```
    /// # use pollset::{PollFd, PollFlags};
    /// assert_eq!(PollFd::new(7, PollFlags::IN).events(), PollFlags::IN);
    /// ```
    #[inline]
    #[must_use]
    pub const fn events(&self) -> PollFlags {
        PollFlags::from_bits_retain(self.0.events as u16)
    }

    /// The events that have occurred, as the last [`poll`] found them; see
    /// [`Event::revents`]. Empty before the first.
    ///
    /// ```
    /// # use pollset::{PollFd, PollFlags};
    /// assert!(PollFd::new(7, PollFlags::IN).revents().is_empty());
    /// ```
    #[inline]
    #[must_use]
    pub const fn revents(&self) -> PollFlags {
        PollFlags::from_bits_retain(self.0.revents as u16)
    }

    /// The same as an [`Event`], if the descriptor is ready.
    ///
    /// ```
    /// use pollset::{Event, PollFd, PollFlags, poll};
    ///
    /// let mut fds = [1000, 1001, 1002].map(|fd| PollFd::new(fd, PollFlags::IN));
    /// poll(&mut fds, None)?;
    /// for event in fds.iter().filter_map(PollFd::event) {
    ///     assert!(event.is_closed()); // these numbers are not open
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn event(&self) -> Option<Event> {
        (self.0.revents != 0).then(|| Event { fd: self.fd(), revents: self.revents() })
    }
}

impl fmt::Debug for PollFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollFd")
            .field("fd", &self.fd())
            .field("events", &self.events())
            .field("revents", &self.revents())
            .finish()
    }
}
