use std::fmt;
use std::io;
use std::mem::take;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::loan::Loan;
use crate::set::{Flag, SettleOnDrop};
use crate::sys::process_generation;
use crate::wait::Wait;
use crate::{Event, PollSet, Timeout};

/// A wait in progress, made step by step.
///
/// For callers that have something to do around system calls that may block, such as letting go of
/// the lock of an interpreter. [`PollSet::poll_interruptible`] is such a loop and nothing more.
///
/// While it lives, the set is waiting: another wait on it is an error.
///
/// ```
/// use std::time::Duration;
/// use pollset::{PollFlags, PollSet, Step};
///
/// let (reader, _writer) = std::io::pipe()?;
/// let set = PollSet::new();
/// set.register(&reader, PollFlags::IN)?;
///
/// let mut waiting = set.start(Duration::from_millis(1))?;
/// let ready = loop {
///     let is_short = waiting.is_short(); // if not, now is the time to let go of a lock
///     match waiting.step()? {
///         Step::Unfinished => {}
///         Step::Interrupted => {} // now is the time to run handlers of signals
///         Step::Ready(ready) => break ready,
///     }
/// };
/// assert_eq!(ready, 0);
/// assert_eq!(waiting.take_event(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Waiting<'a> {
    // Dropped in this order.
    _is_waiting: Flag<'a>,
    wait: Loan<'a, Wait>,
    _settles: SettleOnDrop<'a>,
    set: &'a PollSet,
    timeout: Timeout,
    stage: Stage,
    was_interrupted: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The changes since the last wait are to be applied.
    Prepare,
    /// To ask without waiting.
    Ask,
    /// To wait for the first time.
    Block,
    Blocked,
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The wait is over: so many descriptors are ready. 0: the time is up.
    Ready(usize),
    /// A signal came. The next step goes on.
    Interrupted,
    /// The next step goes on.
    Unfinished,
}

/// How many descriptors a short step asks about, and how many changes it applies, at most.
const SHORT: usize = 64;

impl<'a> Waiting<'a> {
    pub(crate) fn new(set: &'a PollSet, wait: Loan<'a, Wait>, timeout: Timeout) -> Self {
        Self {
            _is_waiting: Flag::raise(set.is_waiting()),
            wait,
            _settles: SettleOnDrop(set),
            set,
            timeout,
            stage: Stage::Prepare,
            was_interrupted: false,
        }
    }

    /// Whether the next step doesn't block, and is over in a few microseconds: it asks about few
    /// descriptors, and applies few changes. (One file may still take its time to answer: one that
    /// is served by another process, say.)
    #[inline]
    #[must_use]
    pub fn is_short(&mut self) -> bool {
        let Some(wait) = self.wait.get() else { return false };
        match self.stage {
            Stage::Prepare => self.set.changes() <= SHORT && !wait.wants_epoll(),
            Stage::Ask => wait.asks_at_most() <= 2 * SHORT,
            Stage::Block | Stage::Blocked => false,
        }
    }

    /// Goes on with the wait.
    ///
    /// # Errors
    ///
    /// Those of [`PollSet::poll`]. The wait is over then.
    #[inline]
    pub fn step(&mut self) -> io::Result<Step> {
        if take(&mut self.was_interrupted) {
            self.resume()?;
        }
        match self.try_step() {
            Err(error) => self.mend(error),
            step => step,
        }
    }

    /// The next event of those that are ready, in registration order. Each is given once.
    #[inline]
    pub fn take_event(&mut self) -> Option<Event> {
        self.take_answer().map(|(_, event)| event)
    }

    /// The next event, and the *slot* of its registration: a number below [`slots`](Self::slots),
    /// which stays the same until descriptors that were registered earlier are unregistered. For
    /// caches.
    #[inline]
    pub fn take_answer(&mut self) -> Option<(usize, Event)> {
        self.wait.get()?.take_answer()
    }

    /// How many slots there are: no less than descriptors, and no more than about twice as many.
    #[must_use]
    pub fn slots(&mut self) -> usize {
        self.wait.get().map_or(0, |wait| wait.slots())
    }

    /// Adds the events that are ready to `events`.
    #[inline]
    pub(crate) fn move_events_to(&mut self, events: &mut Vec<Event>, ready: usize) {
        let Some(wait) = self.wait.get() else { return };
        events.reserve(ready);
        wait.take_events(|event| events.push(event));
    }

    #[inline]
    fn try_step(&mut self) -> io::Result<Step> {
        let counters = self.set.counters();
        // Someone has started over in this process, a forked child, since the last step.
        let Some(wait) = self.wait.get() else { return Err(Errno::INTR.into()) };
        if self.stage == Stage::Prepare {
            self.set.prepare(wait);
            let asks = self.timeout.is_zero() || wait.is_probe_due();
            self.stage = if asks { Stage::Ask } else { Stage::Block };
            if !asks || wait.asks_at_most() > 2 * SHORT {
                return Ok(Step::Unfinished);
            }
        }
        let ready = match self.stage {
            Stage::Ask if self.timeout.is_zero() => wait.ask(Some(Duration::ZERO), counters)?,
            Stage::Ask => {
                self.stage = Stage::Block;
                match wait.probe(counters)? {
                    0 => return Ok(Step::Unfinished),
                    ready => ready,
                }
            }
            // The clock is read only from here on: what is ready at once is reported without it.
            _ => {
                if self.stage == Stage::Block {
                    wait.begin_block();
                    self.stage = Stage::Blocked;
                }
                let (deadline, left) = self.timeout.start();
                self.timeout = deadline.map_or(Timeout::Never, Timeout::At);
                let until_audit = wait.until_audit(left);
                match wait.ask(until_audit, counters)? {
                    0 if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                        wait.audit_blocked(counters);
                        return Ok(Step::Unfinished);
                    }
                    ready => ready,
                }
            }
        };
        wait.record(ready, self.stage == Stage::Blocked, counters);
        Ok(Step::Ready(ready))
    }

    /// The callback of a signal may have forked, and this may be the child.
    #[cold]
    fn resume(&mut self) -> io::Result<()> {
        match self.wait.get() {
            Some(wait) => wait.leave_parents_epoll(process_generation()),
            None => {
                self.wait = self.set.borrow_wait()?;
                self.stage = Stage::Prepare;
            }
        }
        Ok(())
    }

    #[cold]
    fn mend(&mut self, error: io::Error) -> io::Result<Step> {
        let errno = Errno::from_io_error(&error);
        if errno == Some(Errno::INTR) {
            self.was_interrupted = true;
            return Ok(Step::Interrupted);
        }
        // The kernel refuses more entries than the process may have descriptors, and counts the
        // vacant ones, too.
        if errno == Some(Errno::INVAL)
            && let Some(wait) = self.wait.get()
            && self.set.compact(wait)
        {
            return Ok(Step::Unfinished);
        }
        Err(error)
    }
}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("set", self.set).finish_non_exhaustive()
    }
}
