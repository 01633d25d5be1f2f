//! The signals that are blocked while a thread waits.

use std::fmt;
use std::io;

use crate::sys::signals::{self, SignalSet};

/// A set of signals that a thread blocks, for [`PollSet::ppoll`](crate::PollSet::ppoll).
///
/// Signals are the numbers of `<signal.h>`, such as `libc::SIGTERM`. Each thread has a mask of its own,
/// which a new thread inherits from its creator.
///
/// # Portability
///
/// Only on Linux, Android, FreeBSD, DragonFly BSD and OpenBSD, which have ppoll(2).
///
/// # Examples
///
/// ```
/// use pollset::SignalMask;
/// # use libc::{SIGINT, SIGTERM};
///
/// let before = SignalMask::current();
/// let mut mask = before;
/// mask.insert(SIGTERM)?;
/// mask.apply();
/// assert!(SignalMask::current().contains(SIGTERM));
/// before.apply();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SignalMask(SignalSet);

impl SignalMask {
    /// No signal is blocked.
    ///
    /// ```
    /// use pollset::SignalMask;
    /// # use libc::SIGTERM;
    ///
    /// assert!(!SignalMask::empty().contains(SIGTERM));
    /// ```
    #[must_use]
    pub fn empty() -> Self {
        Self(SignalSet::empty())
    }

    /// The mask of the calling thread.
    ///
    /// # Examples
    ///
    /// See [`SignalMask`].
    #[must_use]
    pub fn current() -> Self {
        Self(signals::thread_mask())
    }

    /// Makes it the mask of the calling thread. A pending signal that it unblocks is handled before
    /// this returns.
    ///
    /// # Examples
    ///
    /// See [`SignalMask`].
    pub fn apply(&self) {
        signals::set_thread_mask(&self.0);
    }

    /// Adds `signal` to the mask.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no such signal, or the system's
    /// library keeps it for itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::SignalMask;
    /// # use libc::SIGTERM;
    ///
    /// let mut mask = SignalMask::empty();
    /// mask.insert(SIGTERM)?;
    /// assert!(mask.contains(SIGTERM));
    /// mask.insert(0).unwrap_err();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn insert(&mut self, signal: i32) -> io::Result<()> {
        self.0.insert(signal)
    }

    /// Removes `signal` from the mask.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::SignalMask;
    /// # use libc::SIGTERM;
    ///
    /// let mut mask = SignalMask::current();
    /// mask.remove(SIGTERM)?;
    /// assert!(!mask.contains(SIGTERM));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn remove(&mut self, signal: i32) -> io::Result<()> {
        self.0.remove(signal)
    }

    /// Whether `signal` is blocked. False if there is no such signal.
    ///
    /// ```
    /// use pollset::SignalMask;
    ///
    /// assert!(!SignalMask::empty().contains(0));
    /// ```
    #[must_use]
    pub fn contains(&self, signal: i32) -> bool {
        self.0.contains(signal)
    }

    #[cfg(feature = "bindings")]
    pub(crate) fn from_system(mask: libc::sigset_t) -> Self {
        Self(SignalSet::from_system(mask))
    }

    pub(crate) fn set(&self) -> &SignalSet {
        &self.0
    }
}

/// The numbers of the blocked signals.
impl fmt::Debug for SignalMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignalMask ")?;
        f.debug_set().entries((1..=128).filter(|&signal| self.contains(signal))).finish()
    }
}
