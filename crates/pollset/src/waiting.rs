//! One wait, from beginning to end.
//!
//! It has three stages: *prepare* takes the changes and chooses the engine, *poll* looks for events
//! without blocking, *block* waits for them. A step makes at most one system call that may block,
//! and may make others around it, such as the checks of the audit. After a signal, it is repeated.

use std::fmt;
use std::io;
use std::mem::take;
use std::panic::UnwindSafe;
use std::time::Duration;

use rustix::io::Errno;

use crate::engine::{Failure, Polled};
use crate::engines::Engines;
use crate::lock::Lease;
use crate::shared::Shared;
#[cfg(has_ppoll)]
use crate::signal_mask::SignalMask;
use crate::sys::process_generation;
#[cfg(has_ppoll)]
use crate::sys::signals::AllBlocked;
use crate::sys::signals::SignalSet;
use crate::{Event, Timeout};

/// A wait in progress, made step by step: see [`PollSet::start`](crate::PollSet::start).
///
/// Only with the feature `bindings`. This interface may change in a minor version.
///
/// For callers that do something around system calls that may block, such as releasing the lock of
/// an interpreter. [`PollSet::poll_interruptible`](crate::PollSet::poll_interruptible) is a loop over
/// the steps and nothing else.
///
/// Until it is dropped, another wait on the set is an error. Changes of the set before the first step
/// count for this wait, later ones for the next (or for this one, if it has to begin anew).
///
/// ```
/// use std::time::Duration;
/// use pollset::{PollFlags, PollSet, Step};
///
/// # let release_lock = || ();
/// # let acquire_lock = || ();
/// # let run_signal_handlers = || ();
/// let (reader, _writer) = std::io::pipe()?;
/// let set = PollSet::new();
/// set.register(&reader, PollFlags::IN)?;
///
/// let mut waiting = set.start(Duration::from_millis(1))?;
/// let ready = loop {
///     let is_long = !waiting.is_short();
///     if is_long {
///         release_lock();
///     }
///     let step = waiting.step();
///     if is_long {
///         acquire_lock();
///     }
///     match step? {
///         Step::Ready(ready) => break ready,
///         Step::Interrupted => run_signal_handlers(),
///         _ => {}
///     }
/// };
/// assert_eq!(ready, 0);
/// assert_eq!(waiting.take_event(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub struct Waiting<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) engines: Lease<'a, Engines>,
    timeout: Timeout,
    /// What was left of the timeout when the wait began to block.
    to_block: Option<Duration>,
    pub(crate) stage: Stage,
    was_interrupted: bool,
    /// The epoll instance has stale entries. The next step replaces it.
    pub(crate) must_replace_epoll: bool,
    /// False: the set had no epoll instance when the wait began.
    may_have_epoll: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Stage {
    Prepare,
    Poll,
    Block,
    Over { ready: usize },
}

/// The outcome of a step. The wait goes on after each but `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Step {
    /// The wait is over, with this number of ready descriptors. 0: the time is up.
    Ready(usize),
    /// A signal came; or this is a child, forked during the wait, in which the set was used since. The
    /// next step goes on.
    Interrupted,
    /// The next step goes on.
    Unfinished,
}

/// A short step polls no more descriptors by poll(2), and gets no more events from epoll.
const FEW_DESCRIPTORS: usize = 128;

impl<'a> Waiting<'a> {
    #[inline]
    pub(crate) fn new(shared: &'a Shared, engines: Lease<'a, Engines>, timeout: Timeout) -> Self {
        Self {
            shared,
            engines,
            timeout,
            to_block: None,
            stage: Stage::Prepare,
            was_interrupted: false,
            must_replace_epoll: false,
            may_have_epoll: true,
        }
    }

    /// Goes on with the wait. If it is over, returns the same as before.
    ///
    /// A timeout that is a [`Duration`] counts from the first step that blocks.
    ///
    /// # Errors
    ///
    /// Those of [`PollSet::poll`](crate::PollSet::poll). After an error, the wait can only be dropped.
    #[inline]
    pub fn step(&mut self) -> io::Result<Step> {
        self.step_masked(None)
    }

    /// The same. A `mask` replaces the signal mask of the thread while it blocks.
    #[inline(always)] // without a mask, it costs nothing
    fn step_masked(&mut self, mask: Option<&SignalSet>) -> io::Result<Step> {
        if take(&mut self.was_interrupted) {
            self.resume()?;
        }
        match self.make_step(mask) {
            Err(error) => self.recover_from(error),
            step => step,
        }
    }

    /// Makes the steps that are left, with `mask` as the signal mask of the thread while it blocks.
    #[cfg(has_ppoll)]
    pub(crate) fn finish_with(&mut self, mask: &SignalMask) -> io::Result<usize> {
        // A wait on epoll may consist of several calls that block. Between them, signals stay pending.
        let mut all_blocked = None;
        loop {
            if all_blocked.is_none() && self.blocks_on_epoll() {
                all_blocked = Some(AllBlocked::new());
            }
            match self.step_masked(Some(mask.set()))? {
                Step::Unfinished => {}
                Step::Interrupted => return Err(Errno::INTR.into()),
                Step::Ready(ready) => return Ok(ready),
            }
        }
    }

    #[cfg(has_ppoll)]
    fn blocks_on_epoll(&mut self) -> bool {
        self.stage == Stage::Block
            && self.engines.get().is_some_and(|engines| engines.is_on_epoll())
    }

    #[inline(always)]
    fn make_step(&mut self, mask: Option<&SignalSet>) -> io::Result<Step> {
        let shared = self.shared;
        // None: another wait has taken the engines over in this process, a forked child.
        let Some(engines) = self.engines.get() else { return Err(Errno::INTR.into()) };
        if let Stage::Over { ready } = self.stage {
            return Ok(Step::Ready(ready));
        }
        engines.discard_inherited_epoll(process_generation());
        if self.stage == Stage::Prepare {
            shared.prepare(engines);
            self.may_have_epoll = engines.has_epoll();
            let probes = self.timeout.is_zero() || engines.is_probe_due();
            self.stage = if probes { Stage::Poll } else { Stage::Block };
            if !probes || !polls_few(engines) {
                return Ok(Step::Unfinished);
            }
        }
        if take(&mut self.must_replace_epoll) {
            return match shared.replace_epoll(engines) {
                Ok(()) => Ok(Step::Unfinished),
                Err(failure) => self.fall_back(failure),
            };
        }
        let blocks = self.stage == Stage::Block;
        let left = if blocks {
            // The clock is read only here: events that are ready at once are reported without it.
            let left = self.timeout.start();
            self.to_block = self.to_block.or(left);
            engines.until_audit(left)
        } else {
            Some(Duration::ZERO)
        };
        let start = engines.start_timing(left);
        let polled = match mask {
            Some(mask) if blocks || self.timeout.is_zero() => engines.poll_masked(left, mask),
            _ => engines.poll(left),
        };
        let ready = match polled? {
            Polled::Ready(ready) => ready,
            Polled::Again => return Ok(Step::Unfinished),
            Polled::Stale => {
                self.must_replace_epoll = true;
                return Ok(Step::Unfinished);
            }
            Polled::Failed(failure) => return self.fall_back(failure),
        };
        if let Some(start) = start {
            engines.record_call(left, ready, start);
        }
        if blocks && ready == 0 {
            if !self.timeout.is_over() {
                shared.audit_blocked(engines);
                return Ok(Step::Unfinished);
            }
            // poll(2) polls each descriptor once more when the time is up.
            if engines.compare_last(self.to_block.unwrap_or_default(), &shared.counters) {
                return Ok(Step::Unfinished);
            }
        }
        if !blocks && !self.timeout.is_zero() {
            engines.record_probe(ready);
            if ready == 0 {
                self.stage = Stage::Block;
                return Ok(Step::Unfinished);
            }
        }
        engines.record(ready, blocks, &shared.counters);
        self.stage = Stage::Over { ready };
        Ok(Step::Ready(ready))
    }

    /// Goes on with poll(2). The results that it has had in this wait are kept: to poll their
    /// descriptors again might consume the events.
    #[cold]
    fn fall_back(&mut self, failure: Failure) -> io::Result<Step> {
        let Some(engines) = self.engines.get() else { return Err(Errno::INTR.into()) };
        let results = engines.kept_results();
        self.shared.fall_back(engines, failure);
        if results.is_empty() {
            return Ok(Step::Unfinished);
        }
        let ready = engines.poll_rest(&results)?;
        engines.record(ready, self.stage == Stage::Block, &self.shared.counters);
        self.stage = Stage::Over { ready };
        Ok(Step::Ready(ready))
    }

    /// Goes on after a signal. The caller may have forked since: this may be the child.
    #[cold]
    fn resume(&mut self) -> io::Result<()> {
        match self.engines.get() {
            // Signals may come faster than the audit is due.
            Some(engines) => {
                engines.discard_inherited_epoll(process_generation());
                self.shared.audit_blocked(engines);
            }
            None => {
                self.engines = self.shared.lease_engines()?;
                self.stage = Stage::Prepare;
                self.must_replace_epoll = false;
            }
        }
        Ok(())
    }

    #[cold]
    fn recover_from(&mut self, error: io::Error) -> io::Result<Step> {
        let errno = Errno::from_io_error(&error);
        if errno == Some(Errno::INTR) {
            self.was_interrupted = true;
            return Ok(Step::Interrupted);
        }
        // epoll may not fail where a trial of poll(2) does. And the kernel refuses more entries than
        // the process may have descriptors: if other threads have unregistered some of them since, the
        // wait begins anew.
        let polled = self.engines.get().map_or(0, |engines| engines.registered());
        if self.engines.get().is_some_and(Engines::end_trial)
            || errno == Some(Errno::INVAL) && self.shared.read().len() < polled
        {
            self.stage = Stage::Prepare;
            return Ok(Step::Unfinished);
        }
        Err(error)
    }

    /// Appends the events to `events`.
    #[inline]
    pub(crate) fn move_events_to(&mut self, events: &mut Vec<Event>) {
        if let Some(engines) = self.engines.get() {
            engines.move_events_to(events);
        }
    }
}

pub fn polls_few(engines: &Engines) -> bool {
    engines.most_polled() <= FEW_DESCRIPTORS
}

impl Drop for Waiting<'_> {
    #[inline]
    fn drop(&mut self) {
        // Other threads leave work to the end of a wait only if there is an instance.
        if self.may_have_epoll {
            self.shared.end_lease(&mut self.engines);
        }
    }
}

/// A panic of other code leaves a wait as it was.
impl UnwindSafe for Waiting<'_> {}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("set", self.shared).finish_non_exhaustive()
    }
}
