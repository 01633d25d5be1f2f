//! The types that stand for a descriptor.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// A descriptor: its number, or a reference to an object that has one.
///
/// This is the Rust form of "an integer, or an object with a `fileno()` method". It is
/// implemented for [`RawFd`], for [`BorrowedFd`], and for `&T` where `T` is [`AsRawFd`], as
/// sockets, files, pipes, standard streams, [`OwnedFd`](std::os::fd::OwnedFd) and
/// [`Waker`](crate::Waker) are.
///
/// ```
/// use std::net::TcpListener;
/// use std::os::fd::AsRawFd;
/// use pollset::{PollFlags, PollSet};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let set = PollSet::new();
/// set.register(&listener, PollFlags::IN)?;
/// set.register(listener.as_raw_fd(), PollFlags::IN)?; // the same descriptor again
/// assert_eq!(set.len(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Descriptor {
    /// The number.
    ///
    /// ```
    /// use pollset::Descriptor;
    ///
    /// assert_eq!((&std::io::stdin()).number(), 0);
    /// ```
    fn number(self) -> RawFd;
}

impl Descriptor for RawFd {
    fn number(self) -> RawFd {
        self
    }
}

impl Descriptor for BorrowedFd<'_> {
    fn number(self) -> RawFd {
        self.as_raw_fd()
    }
}

impl<T: AsRawFd + ?Sized> Descriptor for &T {
    fn number(self) -> RawFd {
        self.as_raw_fd()
    }
}
