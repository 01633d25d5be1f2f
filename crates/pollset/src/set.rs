//! The polling object: its interface and documentation.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::RawFd;
use std::panic::{RefUnwindSafe, UnwindSafe};

use rustix::io::Errno;

#[cfg(has_ppoll)]
use crate::SignalMask;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::waiting::{Step, Waiting};
use crate::{Descriptor, Event, Iter, NotRegistered, PollFlags, Stats, Timeout};

/// A polling object: a set of file descriptors, each with the events that it is watched for. It
/// reports which of them are ready.
///
/// Readiness is *level-triggered*: each wait reports a descriptor for as long as it stays ready. A
/// wait reports all ready descriptors, in registration order.
///
/// # Changing the set
///
/// [`register`](Self::register), [`modify`](Self::modify) and [`unregister`](Self::unregister)
/// take `&self`, and constant time on average at any size ([`clear`](Self::clear): time for each
/// descriptor). They may be called at any time: inside
/// the loop over the events, and by other threads during a wait. A change during a wait counts
/// from the next wait on. It neither wakes the wait in progress nor alters it, so that wait may still
/// report a descriptor that was unregistered meanwhile. Use a [`Waker`](crate::Waker) to end it.
///
/// # Numbers, not handles
///
/// A set stores descriptor numbers. It neither owns nor borrows the files, so a connection can be
/// dropped while the set exists; unregister it first. A number that is not open can be registered,
/// and is reported as [`NVAL`](PollFlags::NVAL). One that was closed and opened again stands for
/// the new file.
///
/// # Cost
///
/// A new set has no descriptor of its own and makes no system call. A wait calls poll(2), or
/// epoll(7) once that has become cheaper: for large sets of which few descriptors are ready (see
/// [`Engine`](crate::Engine)). On epoll, a number that is closed *without being unregistered* may
/// go unnoticed for a while: milliseconds while waits follow each other, up to about a second in a
/// wait that stays blocked. (`docs/guarantees.md` in the source has the bounds.) Until then it may be
/// missing from the events, or be reported with its old file's events. The same holds for sockets
/// that a system call makes ready without waking their waiters (`SO_OOBINLINE`, after the urgent
/// byte has come). Sets of up to 8 descriptors use epoll only
/// if it is forced.
///
/// Only sockets, pipes and a few other kinds of files get an entry in epoll: those for which epoll
/// is known to be reliable. poll(2) polls the others in the same wait, so a large set is cheaper
/// without them.
///
/// # Forks
///
/// A forked child has its own copy of the set, which works even if another thread was waiting on
/// it at the time of the fork. Neither process sees the other's changes. If another thread was in
/// the middle of *changing* the set, calls on the child's copy wait forever, as with any lock that
/// such a thread held.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
/// use pollset::{PollFlags, PollSet};
///
/// let (mut reader, mut writer) = std::io::pipe()?;
/// let set = PollSet::new();
/// set.register(&reader, PollFlags::IN)?;
/// assert!(set.poll(Duration::from_millis(1))?.is_empty()); // timed out
///
/// writer.write_all(b"hello")?;
/// drop(writer);
/// for event in set.poll(None)? {
///     assert!(event.is_for(&reader));
///     assert_eq!(event.revents, PollFlags::IN | PollFlags::HUP);
///     let mut text = String::new();
///     reader.read_to_string(&mut text)?;
///     assert_eq!(text, "hello");
///     set.unregister(&reader)?;
/// }
/// assert!(set.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PollSet(pub(crate) Shared);

impl PollSet {
    /// Makes an empty set. Neither allocates nor makes a system call.
    ///
    /// ```
    /// use pollset::PollSet;
    ///
    /// static SET: PollSet = PollSet::new();
    /// assert!(SET.is_empty());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self::with(Settings::new())
    }

    pub(crate) const fn with(settings: Settings) -> Self {
        Self(Shared::new(settings))
    }

    /// Watches `fd` for `events`. If it is registered, only its mask changes, not its place.
    ///
    /// This makes no system call, so a number that is not open is no error. An empty mask is allowed:
    /// errors and hang-ups are still reported.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the number is negative.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::new();
    /// set.register(0, PollFlags::IN | PollFlags::OUT)?;
    /// set.register(&std::io::stdin(), PollFlags::IN)?;
    /// assert_eq!(set.interest(0), Some(PollFlags::IN));
    ///
    /// let error = set.register(-1, PollFlags::IN).unwrap_err();
    /// assert_eq!(error.to_string(), "file descriptor cannot be a negative integer (-1)");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register(&self, fd: impl Descriptor, events: PollFlags) -> io::Result<()> {
        let fd = validate_fd(fd.raw_fd())?;
        self.0.change(|registrations| {
            registrations.register(fd, events);
            true
        });
        Ok(())
    }

    /// Replaces the mask of the registered `fd`.
    ///
    /// # Errors
    ///
    /// [`NotRegistered`] if it is not registered.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::new();
    /// set.register(0, PollFlags::IN)?;
    /// set.modify(0, PollFlags::IN | PollFlags::PRI)?;
    /// assert_eq!(set.modify(1, PollFlags::OUT).unwrap_err().fd, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn modify(&self, fd: impl Descriptor, events: PollFlags) -> Result<(), NotRegistered> {
        let fd = fd.raw_fd();
        let found = self.0.change(|registrations| registrations.modify(fd, events));
        if found { Ok(()) } else { Err(NotRegistered { fd }) }
    }

    /// Stops watching `fd`. Do this before the descriptor is closed.
    ///
    /// # Errors
    ///
    /// [`NotRegistered`] if it is not registered.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::new();
    /// set.register(0, PollFlags::IN)?;
    /// set.unregister(0)?;
    /// assert_eq!(set.unregister(0).unwrap_err().fd, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unregister(&self, fd: impl Descriptor) -> Result<(), NotRegistered> {
        let fd = fd.raw_fd();
        let found = self.0.unregister(fd);
        if found { Ok(()) } else { Err(NotRegistered { fd }) }
    }

    /// Stops watching all descriptors.
    ///
    /// ```
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::from_iter([(0, PollFlags::IN), (1, PollFlags::OUT)]);
    /// set.clear();
    /// assert!(set.is_empty());
    /// ```
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Waits until a descriptor is ready or the time is up, and returns every ready one, in
    /// registration order. An empty list means that the time was up.
    ///
    /// Signals don't end the wait: it goes on with the rest of the timeout. An empty set sleeps until
    /// the time is up, and without a timeout it doesn't return.
    ///
    /// # Errors
    ///
    /// The set stays usable after each of them.
    ///
    /// - [`ResourceBusy`](io::ErrorKind::ResourceBusy), with [`ConcurrentPoll`](crate::ConcurrentPoll) inside: another
    ///   thread is waiting on this set.
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput) (`EINVAL`): more descriptors are registered
    ///   than the process may open (`RLIMIT_NOFILE`).
    /// - [`OutOfMemory`](io::ErrorKind::OutOfMemory) (`ENOMEM`): the kernel has no memory.
    ///
    /// # Portability
    ///
    /// Works with every descriptor that the system's `poll(2)` works with. That of macOS doesn't
    /// work with devices such as `/dev/tty` and `/dev/null`, for which it reports
    /// [`NVAL`](PollFlags::NVAL).
    ///
    /// # References
    ///
    /// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/poll.html),
    /// [Linux](https://man7.org/linux/man-pages/man2/poll.2.html),
    /// [Python](https://docs.python.org/3/library/select.html#polling-objects)
    ///
    /// # Examples
    ///
    /// See [`PollSet`] for a loop over the events and [`Timeout`] for the types of timeouts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::{Event, PollFlags, PollSet};
    ///
    /// let set = PollSet::new();
    /// set.register(i32::MAX, PollFlags::IN)?; // a number that is not open
    /// let events = set.poll(Duration::from_secs(1))?;
    /// assert_eq!(events, [Event { fd: i32::MAX, revents: PollFlags::NVAL }]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll(&self, timeout: impl Into<Timeout>) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        self.poll_into(&mut events, timeout)?;
        Ok(events)
    }

    /// Like [`poll`](Self::poll), but writes the events to a list of the caller, which it clears first.
    /// Waits allocate nothing once the list has room for their events.
    ///
    /// Returns the number of events. After an error the list is empty.
    ///
    /// # Errors
    ///
    /// Those of [`poll`](Self::poll).
    ///
    /// # Examples
    ///
    /// A server closes connections and accepts new ones inside the loop over the events:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::io::{Read, Write};
    /// use std::net::{TcpListener, TcpStream};
    /// use std::os::fd::AsRawFd;
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// client.write_all(b"bye")?;
    /// drop(client);
    ///
    /// let set = PollSet::new();
    /// set.register(&listener, PollFlags::IN)?;
    /// let mut connections = HashMap::new();
    /// let mut events = Vec::new();
    /// let mut served = 0;
    /// while served < 1 {
    ///     set.poll_into(&mut events, None)?;
    ///     for event in &events {
    ///         if event.is_for(&listener) {
    ///             let (connection, _) = listener.accept()?;
    ///             set.register(&connection, PollFlags::IN)?;
    ///             connections.insert(connection.as_raw_fd(), connection);
    ///         } else if (&connections[&event.fd]).read(&mut [0; 1024])? == 0 {
    ///             set.unregister(event.fd)?;
    ///             connections.remove(&event.fd); // closes it
    ///             served += 1;
    ///         }
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_into(
        &self,
        events: &mut Vec<Event>,
        timeout: impl Into<Timeout>,
    ) -> io::Result<usize> {
        self.poll_interruptible(events, timeout, || ControlFlow::Continue(()))
    }

    /// Like [`poll_into`](Self::poll_into), but when a signal interrupts the wait, `on_interrupt`
    /// decides whether it goes on.
    ///
    /// The waiting thread calls it, outside the signal handler. So it may do anything, and change
    /// this set as well; but a wait on this set inside it fails with
    /// [`ConcurrentPoll`](crate::ConcurrentPoll).
    ///
    /// A signal that comes just before the wait begins doesn't interrupt it. A program that must not
    /// miss a signal waits with `ppoll`, where the system has it, or its handler writes to a
    /// registered descriptor, such as that of a [`Waker`](crate::Waker).
    ///
    /// # Errors
    ///
    /// Those of [`poll`](Self::poll), and [`Interrupted`](io::ErrorKind::Interrupted) if
    /// `on_interrupt` returned [`ControlFlow::Break`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Duration;
    /// use pollset::PollSet;
    ///
    /// static STOP: AtomicBool = AtomicBool::new(false); // set by a signal handler
    ///
    /// let set = PollSet::new();
    /// let mut events = Vec::new();
    /// let timeout = Duration::from_millis(1);
    /// let outcome = set.poll_interruptible(&mut events, timeout, || {
    ///     if STOP.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// });
    /// assert_eq!(outcome?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_interruptible(
        &self,
        events: &mut Vec<Event>,
        timeout: impl Into<Timeout>,
        mut on_interrupt: impl FnMut() -> ControlFlow<()>,
    ) -> io::Result<usize> {
        self.wait(events, timeout.into(), &mut on_interrupt)
    }

    /// Like [`poll_into`](Self::poll_into), but the signal mask of the calling thread is `mask` while
    /// the wait blocks, and a signal handler ends the wait.
    ///
    /// The change of the mask and the wait are one step, as in `ppoll(2)`. So a thread that blocks a
    /// signal, looks whether it has come (that is, whether its handler has run), and then waits with
    /// a mask in which it isn't blocked, misses none: if the signal came in between, the handler runs
    /// now and the wait ends.
    ///
    /// If descriptors are ready, the wait reports them, and a signal may stay pending until a wait
    /// that finds none. Other threads may handle a signal that is sent to the process, unless they
    /// block it, too.
    ///
    /// # Errors
    ///
    /// Those of [`poll`](Self::poll), and [`Interrupted`](io::ErrorKind::Interrupted) if a handler
    /// ran (on Linux also after the process was stopped and continued). No event is lost.
    ///
    /// # Portability
    ///
    /// Only on systems that have [`SignalMask`].
    ///
    /// # References
    ///
    /// [Linux](https://man7.org/linux/man-pages/man2/ppoll.2.html),
    /// [FreeBSD](https://man.freebsd.org/cgi/man.cgi?query=ppoll)
    ///
    /// # Examples
    ///
    /// A loop that ends when the process is to terminate:
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use pollset::{PollSet, SignalMask};
    /// use signal_hook::consts::SIGTERM;
    ///
    /// let stop = Arc::new(AtomicBool::new(false));
    /// signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
    /// let while_waiting = SignalMask::current();
    /// let mut otherwise = while_waiting;
    /// otherwise.insert(SIGTERM)?;
    /// otherwise.apply(); // from here on, the handler runs only in a wait
    ///
    /// let set = PollSet::new();
    /// let mut events = Vec::new();
    /// # signal_hook::low_level::raise(SIGTERM)?;
    /// while !stop.load(Ordering::Relaxed) {
    ///     match set.ppoll(&mut events, None, &while_waiting) {
    ///         Ok(_) => { /* serve the events */ }
    ///         Err(error) if error.kind() == ErrorKind::Interrupted => {}
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(has_ppoll)]
    pub fn ppoll(
        &self,
        events: &mut Vec<Event>,
        timeout: impl Into<Timeout>,
        mask: &SignalMask,
    ) -> io::Result<usize> {
        events.clear();
        let mut waiting = Waiting::new(&self.0, self.0.lease_engines()?, timeout.into());
        waiting.finish_with(mask)?;
        waiting.move_events_to(events);
        Ok(events.len())
    }

    /// Compiled once for all types of timeouts and callbacks.
    #[inline]
    fn wait(
        &self,
        events: &mut Vec<Event>,
        timeout: Timeout,
        on_interrupt: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> io::Result<usize> {
        events.clear();
        let mut waiting = Waiting::new(&self.0, self.0.lease_engines()?, timeout);
        loop {
            match waiting.step()? {
                Step::Unfinished => {}
                Step::Interrupted if on_interrupt().is_continue() => {}
                Step::Interrupted => return Err(Errno::INTR.into()),
                Step::Ready(_) => {
                    waiting.move_events_to(events);
                    return Ok(events.len());
                }
            }
        }
    }

    /// Begins a wait that is made step by step: see [`Waiting`], which has an example of a whole
    /// loop. No system call is made before the first step.
    ///
    /// Only with the feature `bindings`.
    ///
    /// # Errors
    ///
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy), with [`ConcurrentPoll`](crate::ConcurrentPoll)
    /// inside: another wait on this set is in progress.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::{PollSet, Step};
    ///
    /// let set = PollSet::new();
    /// let mut waiting = set.start(Duration::ZERO)?;
    /// while waiting.step()? == Step::Unfinished {}
    /// assert_eq!(waiting.step()?, Step::Ready(0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "bindings")]
    #[inline]
    pub fn start(&self, timeout: impl Into<Timeout>) -> io::Result<Waiting<'_>> {
        Ok(Waiting::new(&self.0, self.0.lease_engines()?, timeout.into()))
    }

    /// The engine of the last wait, and a few counters, for debugging. See [`Stats`], which has an
    /// example.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot()
    }

    /// The number of registered descriptors.
    ///
    /// ```
    /// # use pollset::{PollFlags, PollSet};
    /// let set = PollSet::new();
    /// set.register(0, PollFlags::IN)?;
    /// set.register(0, PollFlags::OUT)?; // the same again
    /// assert_eq!(set.len(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().len()
    }

    /// Whether no descriptor is registered.
    ///
    /// ```
    /// assert!(pollset::PollSet::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `fd` is registered.
    ///
    /// ```
    /// # use pollset::{PollFlags, PollSet};
    /// let set = PollSet::new();
    /// set.register(0, PollFlags::IN)?;
    /// assert!(set.contains(&std::io::stdin()) && !set.contains(1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn contains(&self, fd: impl Descriptor) -> bool {
        self.interest(fd).is_some()
    }

    /// The mask of `fd`, as it was given; `None` if it is not registered.
    ///
    /// ```
    /// # use pollset::{PollFlags, PollSet};
    /// let set = PollSet::new();
    /// set.register(0, PollFlags::IN)?;
    /// assert_eq!(set.interest(0), Some(PollFlags::IN));
    /// assert_eq!(set.interest(1), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn interest(&self, fd: impl Descriptor) -> Option<PollFlags> {
        let fd = fd.raw_fd(); // the caller's code, so before the lock is taken
        self.0.read().interest(fd)
    }

    /// The registered descriptors and their masks, in registration order, as they are now.
    ///
    /// This copies them, so the set may be changed while iterating.
    ///
    /// ```
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::new();
    /// set.register(2, PollFlags::OUT)?;
    /// set.register(0, PollFlags::IN)?;
    /// for (fd, _) in set.iter() {
    ///     set.modify(fd, PollFlags::empty())?;
    /// }
    /// assert!(set.iter().eq([(2, PollFlags::empty()), (0, PollFlags::empty())]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn iter(&self) -> Iter {
        Iter::new(self.0.copy())
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

/// The most registrations for which room is made at once. An iterator may promise more than it
/// yields, or yield the same number again and again.
const MAX_PREALLOCATION: usize = 1 << 16;

impl IntoIterator for &PollSet {
    type Item = (RawFd, PollFlags);
    type IntoIter = Iter;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Registers each descriptor, as [`register`](PollSet::register) does. `&mut self` needs no lock, so
/// that this is faster.
///
/// # Panics
///
/// If a number is negative. Those before it are registered.
///
/// ```
/// use pollset::{PollFlags, PollSet};
///
/// let mut set = PollSet::from_iter([(0, PollFlags::IN)]);
/// set.extend([(1, PollFlags::OUT), (0, PollFlags::PRI)]);
/// assert!(set.iter().eq([(0, PollFlags::PRI), (1, PollFlags::OUT)]));
/// ```
impl<D: Descriptor> Extend<(D, PollFlags)> for PollSet {
    fn extend<I: IntoIterator<Item = (D, PollFlags)>>(&mut self, descriptors: I) {
        let descriptors = descriptors.into_iter();
        let Some((registrations, changes)) = self.0.get_mut() else {
            return descriptors.for_each(|(fd, events)| {
                self.register(fd, events).unwrap_or_else(|error| panic!("{error}"));
            });
        };
        registrations.reserve(descriptors.size_hint().0.min(MAX_PREALLOCATION));
        for (fd, events) in descriptors {
            let fd = validate_fd(fd.raw_fd()).unwrap_or_else(|error| panic!("{error}"));
            registrations.register(fd, events);
            *changes = changes.saturating_add(1);
        }
    }
}

/// A new set with these descriptors; see the implementation of [`Extend`].
impl<D: Descriptor> FromIterator<(D, PollFlags)> for PollSet {
    fn from_iter<I: IntoIterator<Item = (D, PollFlags)>>(descriptors: I) -> Self {
        let mut set = Self::new();
        set.extend(descriptors);
        set
    }
}

/// A panic in a callback leaves the set in a valid state.
impl UnwindSafe for PollSet {}
impl RefUnwindSafe for PollSet {}

impl Default for PollSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PollSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn validate_fd(fd: RawFd) -> io::Result<RawFd> {
    if fd < 0 {
        let message = format!("file descriptor cannot be a negative integer ({fd})");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_pointer_width = "64", has_epoll))]
    use super::PollSet;

    /// The documents quote it.
    #[test]
    #[cfg(all(target_pointer_width = "64", has_epoll))]
    fn the_object_takes_544_bytes() {
        assert_eq!(size_of::<PollSet>(), 544);
    }
}
