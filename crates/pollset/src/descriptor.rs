//! The types that stand for a descriptor.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// A descriptor: its number, or a reference to an object that has one.
///
/// This is the Rust form of "an integer, or an object with a `fileno()` method". It is
/// implemented for [`RawFd`], for [`BorrowedFd`], and for `&T` where `T` is [`AsRawFd`], as
/// sockets, files, pipes, standard streams, [`OwnedFd`](std::os::fd::OwnedFd) and
/// [`Waker`](crate::Waker) are. Other types implement `AsRawFd`; this trait is sealed.
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
pub trait Descriptor: Sealed {
    /// The number.
    ///
    /// ```
    /// use pollset::Descriptor;
    ///
    /// assert_eq!((&std::io::stdin()).raw_fd(), 0);
    /// ```
    fn raw_fd(self) -> RawFd;
}

/// Keeps other crates from implementing [`Descriptor`].
pub trait Sealed {}

impl Sealed for RawFd {}
impl Sealed for BorrowedFd<'_> {}
impl<T: AsRawFd + ?Sized> Sealed for &T {}

impl Descriptor for RawFd {
    fn raw_fd(self) -> RawFd {
        self
    }
}

impl Descriptor for BorrowedFd<'_> {
    fn raw_fd(self) -> RawFd {
        self.as_raw_fd()
    }
}

impl<T: AsRawFd + ?Sized> Descriptor for &T {
    fn raw_fd(self) -> RawFd {
        self.as_raw_fd()
    }
}
