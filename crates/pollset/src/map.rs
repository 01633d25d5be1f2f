//! A polling object that keeps a value with each registration.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::RawFd;

use hashbrown::HashTable;
use hashbrown::hash_table;

#[cfg(has_ppoll)]
use crate::SignalMask;
use crate::registrations::hash;
use crate::{Descriptor, Event, NotRegistered, PollFlags, PollSet, Stats, Timeout};

/// A polling object that keeps a value with each registration, and returns it with each event.
///
/// The value is the program's: the state of a connection, with its socket, or a key to it.
/// [`poll`](Self::poll) waits, as that of [`PollSet`] does, and [`next_event`](Self::next_event)
/// returns the events one by one, each with `&mut T`. [`unregister`](Self::unregister) gives the value
/// back.
///
/// # The map may be changed between the events
///
/// While a program handles the events of one wait, it may close a descriptor that is ready, too, and
/// open a new one, to which the system gives the same number. The event of the old one must not be
/// taken for one of the new one: a read would block, or a new connection would be closed for the
/// hang-up of another. In a `PollMap` that can't happen: `next_event` leaves out the events of
/// registrations that are gone, and never returns them for a registration that was made after the
/// wait. The descriptors of these are reported by the next wait, if they are ready then.
///
/// A program that stores its data elsewhere, by the number of a [`PollSet`]'s [`Event`], has to see to
/// that itself.
///
/// # Changes, threads
///
/// A map is used by one thread at a time, since it gives out `&mut T`. Other threads send requests,
/// through a channel for instance, and end a wait by a [`Waker`](crate::Waker). For changes by
/// other threads during a wait, use a [`PollSet`].
///
/// # Examples
///
/// A server that counts the bytes of its clients:
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use std::os::fd::AsRawFd;
/// use pollset::{PollFlags, PollMap};
///
/// enum Source {
///     Listener(TcpListener),
///     Client { stream: TcpStream, received: usize },
/// }
///
/// /// Serves one client. Returns the number of bytes.
/// fn serve_one(listener: TcpListener) -> io::Result<usize> {
///     let mut map = PollMap::new();
///     map.register(listener.as_raw_fd(), PollFlags::IN, Source::Listener(listener))?;
///     loop {
///         map.poll(None)?;
///         while let Some((event, source)) = map.next_event() {
///             match source {
///                 Source::Listener(listener) => {
///                     let (stream, _) = listener.accept()?;
///                     let fd = stream.as_raw_fd();
///                     map.register(fd, PollFlags::IN, Source::Client { stream, received: 0 })?;
///                 }
///                 Source::Client { stream, received } => match stream.read(&mut [0; 1024])? {
///                     0 => {
///                         let total = *received;
///                         map.unregister(event.fd)?; // returns the value, which is dropped here
///                         return Ok(total);
///                     }
///                     count => *received += count,
///                 },
///             }
///         }
///     }
/// }
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// TcpStream::connect(listener.local_addr()?)?.write_all(b"hello")?;
/// assert_eq!(serve_one(listener)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PollMap<T> {
    set: PollSet, // dropped before the values, which may own the descriptors
    values: HashTable<Registered<T>>,
    /// The events of the last wait.
    events: Vec<Event>,
    /// How many of them were returned, or left out.
    taken: usize,
    waits: u64,
}

struct Registered<T> {
    fd: RawFd,
    /// The number of waits before it was registered. The events of the last wait are for older ones.
    since: u64,
    value: T,
}

impl<T> PollMap<T> {
    /// Makes an empty map. Neither allocates nor makes a system call.
    ///
    /// [`Builder::build_map`](crate::Builder::build_map) makes one with other settings.
    ///
    /// ```
    /// assert!(pollset::PollMap::<String>::new().is_empty());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self::with(PollSet::new())
    }

    pub(crate) const fn with(set: PollSet) -> Self {
        Self { set, values: HashTable::new(), events: Vec::new(), taken: 0, waits: 0 }
    }

    /// Watches `fd` for `events`, and keeps `value` with it.
    ///
    /// If the number is registered, this replaces the registration, and returns its value. That may
    /// be one of a file that was closed without being unregistered: so the events of the last wait
    /// that were not returned yet are not those of the new registration.
    ///
    /// If the value owns the descriptor, take the number first: `map.register(stream.as_raw_fd(),
    /// PollFlags::IN, stream)`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the number is negative. The value is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// assert_eq!(map.register(0, PollFlags::IN, "input")?, None);
    /// assert_eq!(map.register(0, PollFlags::IN, "standard input")?, Some("input"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register(
        &mut self,
        fd: impl Descriptor,
        events: PollFlags,
        value: T,
    ) -> io::Result<Option<T>> {
        let fd = fd.raw_fd();
        self.set.register(fd, events)?;
        let new = Registered { fd, since: self.waits, value };
        match self.values.entry(hash(fd), |old| old.fd == fd, |old| hash(old.fd)) {
            hash_table::Entry::Occupied(mut entry) => {
                Ok(Some(std::mem::replace(entry.get_mut(), new).value))
            }
            hash_table::Entry::Vacant(entry) => {
                entry.insert(new);
                Ok(None)
            }
        }
    }

    /// Replaces the mask of the registered `fd`. The value stays, and so do the events of the last
    /// wait.
    ///
    /// # Errors
    ///
    /// [`NotRegistered`] if it is not registered.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(1, PollFlags::empty(), "output")?;
    /// map.modify(1, PollFlags::OUT)?;
    /// assert_eq!(map.interest(1), Some(PollFlags::OUT));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn modify(&mut self, fd: impl Descriptor, events: PollFlags) -> Result<(), NotRegistered> {
        self.set.modify(fd, events)
    }

    /// Stops watching `fd`, and returns its value. Do this before the descriptor is closed; a value
    /// that owns it does so when it is dropped.
    ///
    /// # Errors
    ///
    /// [`NotRegistered`] if it is not registered.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, "input")?;
    /// assert_eq!(map.unregister(0)?, "input");
    /// assert!(map.unregister(0).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unregister(&mut self, fd: impl Descriptor) -> Result<T, NotRegistered> {
        let fd = fd.raw_fd();
        self.set.unregister(fd)?;
        let entry = self.values.find_entry(hash(fd), |entry| entry.fd == fd);
        entry.map(|entry| entry.remove().0.value).map_err(|_| NotRegistered { fd })
    }

    /// Stops watching all descriptors, and drops the values.
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, "input")?;
    /// map.clear();
    /// assert!(map.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn clear(&mut self) {
        self.set.clear();
        self.values.clear();
    }

    /// Waits until a descriptor is ready or the time is up. Returns the number of ready ones, whose
    /// events [`next_event`](Self::next_event) returns. Events of an earlier wait that were not
    /// returned are dropped; a descriptor that is still ready is reported anew.
    ///
    /// # Errors
    ///
    /// Those of [`PollSet::poll`], except [`ConcurrentPoll`](crate::ConcurrentPoll).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::PollMap;
    ///
    /// let mut map = PollMap::<String>::new();
    /// assert_eq!(map.poll(Duration::ZERO)?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll(&mut self, timeout: impl Into<Timeout>) -> io::Result<usize> {
        self.begin();
        self.set.poll_into(&mut self.events, timeout)
    }

    /// Like [`poll`](Self::poll), but when a signal interrupts the wait, `on_interrupt` decides whether
    /// it goes on; see [`PollSet::poll_interruptible`].
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
    /// use std::time::Duration;
    /// use pollset::PollMap;
    ///
    /// let mut map = PollMap::<String>::new();
    /// map.poll_interruptible(Duration::from_millis(1), || ControlFlow::Break(()))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_interruptible(
        &mut self,
        timeout: impl Into<Timeout>,
        on_interrupt: impl FnMut() -> ControlFlow<()>,
    ) -> io::Result<usize> {
        self.begin();
        self.set.poll_interruptible(&mut self.events, timeout, on_interrupt)
    }

    /// Like [`poll`](Self::poll), with a signal mask; see [`PollSet::ppoll`].
    ///
    /// # Errors
    ///
    /// Those of [`PollSet::ppoll`], except [`ConcurrentPoll`](crate::ConcurrentPoll).
    ///
    /// # Portability
    ///
    /// Only on systems that have [`SignalMask`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::{PollMap, SignalMask};
    ///
    /// let mut map = PollMap::<String>::new();
    /// assert_eq!(map.ppoll(Duration::from_millis(1), &SignalMask::current())?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(has_ppoll)]
    pub fn ppoll(&mut self, timeout: impl Into<Timeout>, mask: &SignalMask) -> io::Result<usize> {
        self.begin();
        self.set.ppoll(&mut self.events, timeout, mask)
    }

    #[inline]
    fn begin(&mut self) {
        self.waits += 1;
        self.events.clear();
        self.taken = 0;
    }

    /// The next event of the last wait, in registration order, and the value of its registration.
    /// Each is returned once. `None` if there are no more.
    ///
    /// Events of registrations that are gone are left out; see
    /// [`PollMap`](Self#the-map-may-be-changed-between-the-events). A registration that was modified
    /// is not gone: its event has the flags that the wait has found.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(i32::MAX, PollFlags::IN, 0)?; // a number that is not open
    /// map.poll(None)?;
    /// while let Some((event, count)) = map.next_event() {
    ///     *count += 1;
    ///     assert_eq!(event.revents, PollFlags::NVAL);
    /// }
    /// assert_eq!(map.get(i32::MAX), Some(&1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn next_event(&mut self) -> Option<(Event, &mut T)> {
        loop {
            let event = *self.events.get(self.taken)?;
            self.taken += 1;
            let is_meant = |entry: &Registered<T>| entry.fd == event.fd && entry.since < self.waits;
            // By index, since the borrow checker rejects `find_mut` with a return inside the loop.
            if let Some(index) = self.values.find_bucket_index(hash(event.fd), is_meant) {
                return self.values.get_bucket_mut(index).map(|entry| (event, &mut entry.value));
            }
        }
    }

    /// The value of `fd`, if it is registered.
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, "input")?;
    /// assert_eq!(map.get(&std::io::stdin()), Some(&"input"));
    /// assert_eq!(map.get(1), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, fd: impl Descriptor) -> Option<&T> {
        let fd = fd.raw_fd();
        self.values.find(hash(fd), |entry| entry.fd == fd).map(|entry| &entry.value)
    }

    /// The value of `fd`, to change it.
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, 1)?;
    /// *map.get_mut(0).unwrap() += 1;
    /// assert_eq!(map.get(0), Some(&2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn get_mut(&mut self, fd: impl Descriptor) -> Option<&mut T> {
        let fd = fd.raw_fd();
        self.values.find_mut(hash(fd), |entry| entry.fd == fd).map(|entry| &mut entry.value)
    }

    /// Whether `fd` is registered.
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, "input")?;
    /// assert!(map.contains(0) && !map.contains(1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn contains(&self, fd: impl Descriptor) -> bool {
        self.get(fd).is_some()
    }

    /// The mask of `fd`, as it was given; `None` if it is not registered.
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, ())?;
    /// assert_eq!((map.interest(0), map.interest(1)), (Some(PollFlags::IN), None));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn interest(&self, fd: impl Descriptor) -> Option<PollFlags> {
        self.set.interest(fd)
    }

    /// The registered descriptors and their values, in no particular order.
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, "input")?;
    /// assert!(map.iter().eq([(0, &"input")]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (RawFd, &T)> {
        self.values.iter().map(|entry| (entry.fd, &entry.value))
    }

    /// The registered descriptors and their values, to change them, in no particular order.
    ///
    /// ```
    /// use pollset::{PollFlags, PollMap};
    ///
    /// let mut map = PollMap::new();
    /// map.register(0, PollFlags::IN, 1)?;
    /// for (_fd, value) in map.iter_mut() {
    ///     *value += 1;
    /// }
    /// assert_eq!(map.get(0), Some(&2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (RawFd, &mut T)> {
        self.values.iter_mut().map(|entry| (entry.fd, &mut entry.value))
    }

    /// The number of registered descriptors.
    ///
    /// ```
    /// assert_eq!(pollset::PollMap::<String>::new().len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no descriptor is registered.
    ///
    /// ```
    /// assert!(pollset::PollMap::<String>::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The engine of the last wait, and a few counters; see [`Stats`].
    ///
    /// ```
    /// assert_eq!(pollset::PollMap::<String>::new().stats().poll_waits, 0);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.set.stats()
    }
}

impl<T> Default for PollMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for PollMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollMap ")?;
        f.debug_map().entries(self.iter()).finish()
    }
}
