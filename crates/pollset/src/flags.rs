//! Events as bits.

use std::fmt;

use bitflags::bitflags;

bitflags! {
    /// A set of events: those that a descriptor is watched for, or those that have occurred.
    ///
    /// These are the `POLL*` bits of `poll(2)` with the system's values. Bits without a name are kept
    /// as they are, so any 16-bit mask goes in and comes out unchanged; the kernel gets only those
    /// with a name.
    ///
    /// Linux reports, by kind of descriptor:
    ///
    /// | | pipe or FIFO | socket | regular file, `/dev/null` |
    /// |---|---|---|---|
    /// | [`IN`](Self::IN) | data | data, end of stream, a connection to accept | always |
    /// | [`PRI`](Self::PRI) | never | TCP urgent data | never |
    /// | [`OUT`](Self::OUT) | room for `PIPE_BUF` bytes | room to send, connected or refused | always |
    /// | [`RDHUP`](Self::RDHUP) | never | the peer won't send any more | never |
    /// | [`HUP`](Self::HUP) | reading end: no writer is left | both directions are closed | never |
    /// | [`ERR`](Self::ERR) | writing end: no reader is left | an error is pending | never |
    ///
    /// [`ERR`](Self::ERR), [`HUP`](Self::HUP) and [`NVAL`](Self::NVAL) are reported whether
    /// they are requested or not. A few regular files of `/proc` and `/sys` are different: they
    /// report [`PRI`](Self::PRI) and [`ERR`](Self::ERR) when their text has changed.
    ///
    /// Both [`Display`](fmt::Display) and [`Debug`](fmt::Debug) write the names:
    ///
    /// ```
    /// use pollset::PollFlags;
    ///
    /// assert_eq!((PollFlags::IN | PollFlags::HUP).to_string(), "IN | HUP");
    /// assert_eq!(PollFlags::empty().to_string(), "(none)");
    /// assert_eq!(PollFlags::from_name("OUT"), Some(PollFlags::OUT));
    /// assert!(PollFlags::default().is_empty());
    /// ```
    #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct PollFlags: u16 {
        /// There is data to read, or reading will report the end or an error at once.
        const IN = libc::POLLIN as u16;
        /// There is urgent data to read.
        const PRI = libc::POLLPRI as u16;
        /// Writing will not block.
        const OUT = libc::POLLOUT as u16;
        /// An error is pending. Reported whether it is requested or not.
        const ERR = libc::POLLERR as u16;
        /// The peer has hung up. Reported whether it is requested or not.
        const HUP = libc::POLLHUP as u16;
        /// The descriptor is not open. Reported whether it is requested or not.
        const NVAL = libc::POLLNVAL as u16;
        /// Data of normal priority can be read.
        const RDNORM = libc::POLLRDNORM as u16;
        /// Data of a priority band can be read.
        const RDBAND = libc::POLLRDBAND as u16;
        /// Data of normal priority can be written.
        const WRNORM = libc::POLLWRNORM as u16;
        /// Data of a priority band can be written.
        const WRBAND = libc::POLLWRBAND as u16;
        /// A message has come (Linux defines the bit and never reports it).
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const MSG = if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) { 0x200 } else { 0x400 };
        /// The peer of a stream socket closed it, or shut down its writing half.
        #[cfg(any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd",
            target_os = "illumos"
        ))]
        const RDHUP = libc::POLLRDHUP as u16;
    }
}

impl fmt::Display for PollFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("(none)");
        }
        bitflags::parser::to_writer(self, f)
    }
}

impl fmt::Debug for PollFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
