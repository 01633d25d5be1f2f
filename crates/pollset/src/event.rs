//! The events of a wait.

use std::os::fd::{AsRawFd, RawFd};

use crate::PollFlags;

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

impl Event {
    /// Whether this event is about `source`.
    ///
    /// ```
    /// # use pollset::{Event, PollFlags};
    /// let event = Event { fd: 0, revents: PollFlags::IN };
    /// assert!(event.is_for(&std::io::stdin()));
    /// ```
    #[must_use]
    pub fn is_for(&self, source: &impl AsRawFd) -> bool {
        self.fd == source.as_raw_fd()
    }
}
