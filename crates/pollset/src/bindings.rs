//! What bindings to other languages need of a wait, and of a waker.

use std::io;
use std::os::fd::RawFd;

use rustix::io::{Errno, fcntl_getfd};

use crate::waiting::{Stage, Step, Waiting, polls_few};
use crate::{Event, PollFlags, PollSet, Waker, sys};

/// A short step takes no more changes.
const FEW_CHANGES: usize = 64;

impl Waiting<'_> {
    /// Whether the next step doesn't block, and is usually over in a few microseconds: it takes few
    /// changes, and polls few descriptors or gets few events.
    ///
    /// On epoll it may also make checks of the audit, for up to 15 µs. The first wait after an
    /// anonymous file (an eventfd, say) was registered takes 3 µs to determine its kind. And a
    /// file whose readiness another process decides (FUSE) may take any time.
    #[inline]
    #[must_use]
    pub fn is_short(&mut self) -> bool {
        let Some(engines) = self.engines.get() else { return false };
        match self.stage {
            Stage::Prepare => {
                self.shared.changes().saturating_add(engines.pending()) <= FEW_CHANGES
                    && !engines.should_create_epoll()
            }
            Stage::Poll => polls_few(engines) && !self.must_replace_epoll,
            Stage::Block => false,
            Stage::Over { .. } => true,
        }
    }

    /// Makes the steps that are left, and returns the number of ready descriptors.
    ///
    /// # Errors
    ///
    /// Those of [`step`](Self::step), and [`Interrupted`](io::ErrorKind::Interrupted) if a step was:
    /// then it can be called again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::PollSet;
    ///
    /// let set = PollSet::new();
    /// assert_eq!(set.start(Duration::ZERO)?.finish()?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn finish(&mut self) -> io::Result<usize> {
        loop {
            match self.step()? {
                Step::Unfinished => {}
                Step::Interrupted => return Err(Errno::INTR.into()),
                Step::Ready(ready) => return Ok(ready),
            }
        }
    }

    /// The same with `mask` as the signal mask of the thread while it blocks: see
    /// [`PollSet::ppoll`](crate::PollSet::ppoll), which has an example.
    ///
    /// # Errors
    ///
    /// Those of [`finish`](Self::finish), and [`Unsupported`](io::ErrorKind::Unsupported) on systems
    /// that have no ppoll(2).
    pub fn finish_masked(&mut self, mask: &libc::sigset_t) -> io::Result<usize> {
        #[cfg(has_ppoll)]
        return self.finish_with(&crate::SignalMask::from_system(*mask));
        #[cfg(not(has_ppoll))]
        {
            let _ = mask;
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// The slot of the next event, which is not taken. `None` if there is none, or the wait isn't over.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::from_iter([(1000, PollFlags::IN)]); // not open
    /// let mut waiting = set.start(Duration::ZERO)?;
    /// assert_eq!(waiting.next_slot(), None);
    /// assert_eq!(waiting.finish()?, 1);
    /// assert_eq!(waiting.next_slot(), Some(0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn next_slot(&mut self) -> Option<usize> {
        match (self.stage, self.engines.get()) {
            (Stage::Over { .. }, Some(engines)) => engines.next_slot(),
            _ => None,
        }
    }

    /// The next event, in registration order. Each is returned once. `None` if there are no more, or
    /// the wait isn't over.
    #[inline]
    pub fn take_event(&mut self) -> Option<Event> {
        let mut event = [(0, Event { fd: 0, revents: PollFlags::empty() })];
        (self.take_events(&mut event) == 1).then(|| event[0].1)
    }

    /// Writes the next events to `events`, as many as it has room for, and returns their number. Each
    /// comes with the *slot* of its registration, for caches: a number below
    /// [`slots`](Self::slots), which stays the same until descriptors that were registered earlier
    /// are unregistered.
    #[inline]
    pub fn take_events(&mut self, events: &mut [(usize, Event)]) -> usize {
        match (self.stage, self.engines.get()) {
            (Stage::Over { .. }, Some(engines)) => engines.take_events(events),
            _ => 0,
        }
    }

    /// Calls `function` with the events that were not taken, in registration order. With none, if the wait isn't
    /// over.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::from_iter([(1000, PollFlags::IN), (1001, PollFlags::IN)]); // not open
    /// let mut waiting = set.start(Duration::ZERO)?;
    /// waiting.finish()?;
    /// let mut numbers = vec![];
    /// waiting.for_each_event(|event| numbers.push(event.fd));
    /// assert_eq!(numbers, [1000, 1001]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn for_each_event(&mut self, function: impl FnMut(Event)) {
        if let (Stage::Over { .. }, Some(engines)) = (self.stage, self.engines.get()) {
            engines.for_each_event(function);
        }
    }

    /// The number of slots of this wait, once it is over: no fewer than descriptors, and no more than
    /// about twice as many.
    #[must_use]
    pub fn slots(&mut self) -> usize {
        self.engines.get().map_or(0, |engines| engines.slots())
    }
}

impl PollSet {
    /// Sets or clears the mark of a registration, and returns whether it was set: for callers that give
    /// descriptors their turn. A new registration is not marked; one that is replaced keeps its mark. `None` if
    /// `fd` is not registered.
    ///
    /// Only with the feature `bindings`.
    ///
    /// # Examples
    ///
    /// ```
    /// use pollset::{PollFlags, PollSet};
    ///
    /// let set = PollSet::from_iter([(1000, PollFlags::IN)]);
    /// assert_eq!(set.mark(1000, true), Some(false));
    /// assert_eq!(set.mark(1000, false), Some(true));
    /// set.mark_all();
    /// assert_eq!(set.mark(1000, true), Some(true));
    /// assert_eq!(set.mark(1001, true), None);
    /// ```
    pub fn mark(&self, fd: RawFd, is_marked: bool) -> Option<bool> {
        self.0.lock_for_marks().mark(fd, is_marked)
    }

    /// Marks all registrations: see [`mark`](Self::mark).
    pub fn mark_all(&self) {
        self.0.lock_for_marks().mark_all();
    }
}

impl Waker {
    /// Replaces the file by a new one, which is not ready, under the same number: so a forked child has a
    /// waker of its own. Call it while no thread of this process waits for the waker.
    ///
    /// Only with the feature `bindings`. It may be called in a signal handler.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new). `EBADF`, if the program has closed the descriptor, or has lowered
    /// `RLIMIT_NOFILE` to its number or below. On Linux also if the number is that of another file now, unless that
    /// is an eventfd, too, or there is no `/proc`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use pollset::{PollFlags, PollSet, Waker};
    ///
    /// let waker = Waker::new()?;
    /// let set = PollSet::from_iter([(&waker, PollFlags::IN)]);
    /// waker.wake()?;
    /// waker.renew()?;
    /// assert!(set.poll(Duration::ZERO)?.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn renew(&self) -> io::Result<()> {
        // A number that is not open might become that of the new file.
        fcntl_getfd(self)?;
        self.0.renew()
    }
}

/// A number that is not 0, and differs between a process and its ancestors.
///
/// Only with the feature `bindings`. On Linux since 4.14, it makes a system call only at its first use in a
/// process. Elsewhere it is the process ID, so an ancestor that has ended may have had the same. It may be
/// called in a signal handler.
#[must_use]
#[inline]
pub fn process_generation() -> u32 {
    sys::process_generation()
}
