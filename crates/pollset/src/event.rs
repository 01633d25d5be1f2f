//! The events of a wait.

use std::os::fd::RawFd;

use crate::{Descriptor, PollFlags};

/// A ready descriptor and its events.
///
/// ```
/// use std::io::Write;
/// use std::os::fd::AsRawFd;
/// use pollset::{Event, PollFlags, PollSet};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let set = PollSet::new();
/// set.register(&reader, PollFlags::IN)?;
/// writer.write_all(b"x")?;
///
/// let fd = reader.as_raw_fd();
/// assert_eq!(set.poll(None)?, [Event { fd, revents: PollFlags::IN }]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// The number that was registered.
    pub fd: RawFd,
    /// The events that have occurred, of those that the descriptor is watched for, and of
    /// [`ERR`](PollFlags::ERR), [`HUP`](PollFlags::HUP) and [`NVAL`](PollFlags::NVAL), which are
    /// always reported. Never empty.
    pub revents: PollFlags,
}

/// Reported whether they are requested or not. Reads and writes then return at once, mostly with an
/// error.
const ENDS: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);
const ROOM: PollFlags = PollFlags::OUT.union(PollFlags::WRNORM).union(PollFlags::WRBAND);
const WRITABLE: PollFlags = ROOM.union(ENDS);
const READABLE: PollFlags = ROOM.union(PollFlags::PRI).complement();

impl Event {
    /// Whether this event is about `fd`.
    ///
    /// ```
    /// # use pollset::{Event, PollFlags};
    /// let event = Event { fd: 0, revents: PollFlags::IN };
    /// assert!(event.is_for(&std::io::stdin()) && !event.is_for(1));
    /// ```
    #[must_use]
    pub fn is_for(&self, fd: impl Descriptor) -> bool {
        self.fd == fd.raw_fd()
    }

    /// Whether a read will return at once: with data, with the end of the data, or with an error.
    ///
    /// True for `IN`, `RDNORM`, `RDBAND` and (where the system has it) `RDHUP`, and for `ERR`, `HUP`
    /// and `NVAL`, which are reported whether they are requested or not. So each event is readable,
    /// writable or both, except one of [`PRI`](PollFlags::PRI) alone. (On Linux, a socket also reports
    /// `ERR` while its error queue has messages, such as time stamps. A program that requests those
    /// reads them by `recvmsg(2)` with `MSG_ERRQUEUE`; a plain read may block.)
    ///
    /// ```
    /// # use pollset::{Event, PollFlags};
    /// let event = |revents| Event { fd: 0, revents };
    /// assert!(event(PollFlags::IN).is_readable());
    /// assert!(event(PollFlags::HUP).is_readable());
    /// assert!(!event(PollFlags::OUT | PollFlags::PRI).is_readable());
    /// ```
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.revents.intersects(READABLE)
    }

    /// Whether a write will return at once: because there is room, or with an error.
    ///
    /// True for `OUT`, `WRNORM` and `WRBAND`, and for `ERR`, `HUP` and `NVAL`, which are reported
    /// whether they are requested or not.
    ///
    /// ```
    /// # use pollset::{Event, PollFlags};
    /// let event = |revents| Event { fd: 0, revents };
    /// assert!(event(PollFlags::OUT).is_writable());
    /// assert!(event(PollFlags::ERR).is_writable());
    /// assert!(!event(PollFlags::IN).is_writable());
    /// ```
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.revents.intersects(WRITABLE)
    }

    /// Whether the peer has hung up ([`HUP`](PollFlags::HUP)), or the descriptor is not open
    /// ([`NVAL`](PollFlags::NVAL)).
    ///
    /// A stream socket that was never connected reports `HUP`, too. After a hang-up there may still be data to read. False if the peer has only shut down its
    /// writing half (see [`PollFlags`]), and false for the writing end of a pipe without a reader,
    /// for which Linux reports [`ERR`](PollFlags::ERR) alone.
    ///
    /// ```
    /// # use pollset::{Event, PollFlags};
    /// let event = |revents| Event { fd: 0, revents };
    /// assert!(event(PollFlags::IN | PollFlags::HUP).is_closed());
    /// assert!(!event(PollFlags::IN | PollFlags::ERR).is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.revents.intersects(PollFlags::HUP | PollFlags::NVAL)
    }
}
