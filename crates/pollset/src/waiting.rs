use std::fmt;
use std::io;
use std::mem::take;
use std::panic::UnwindSafe;
use std::time::Duration;

use rustix::io::Errno;

use crate::loan::Loan;
use crate::set::SettleOnDrop;
use crate::sys::process_generation;
use crate::wait::Wait;
use crate::{Event, PollFlags, PollSet, Timeout};

/// A wait in progress, made step by step: see [`PollSet::start`].
///
/// For callers that have something to do around system calls that may block, such as letting go of
/// the lock of an interpreter. [`PollSet::poll_interruptible`] is such a loop and nothing more.
///
/// While it lives, the set is waiting: another wait on it is an error. (One that is leaked waits
/// for ever.) What is changed before the first step counts for this wait, what is changed later
/// for the next.
///
/// ```
/// use std::time::Duration;
/// use pollset::{PollFlags, PollSet, Step};
///
/// # let let_go_of_lock = || ();
/// # let take_lock_back = || ();
/// # let run_signal_handlers = || ();
/// let (reader, _writer) = std::io::pipe()?;
/// let set = PollSet::new();
/// set.register(&reader, PollFlags::IN)?;
///
/// let mut waiting = set.start(Duration::from_millis(1))?;
/// let ready = loop {
///     let is_long = !waiting.is_short();
///     if is_long {
///         let_go_of_lock();
///     }
///     let step = waiting.step();
///     if is_long {
///         take_lock_back();
///     }
///     match step? {
///         Step::Unfinished => {}
///         Step::Interrupted => run_signal_handlers(),
///         Step::Ready(ready) => break ready,
///     }
/// };
/// assert_eq!(ready, 0);
/// assert_eq!(waiting.take_event(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub struct Waiting<'a> {
    // Dropped in this order.
    wait: Loan<'a, Wait>,
    _settles: SettleOnDrop<'a>,
    set: &'a PollSet,
    timeout: Timeout,
    /// How much of the timeout was left when it began to block.
    to_block: Option<Duration>,
    stage: Stage,
    was_interrupted: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The changes since the last wait are to be applied.
    Prepare,
    /// To ask without waiting.
    Ask,
    Block,
    Over {
        ready: usize,
    },
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// The wait is over: so many descriptors are ready. 0: the time is up.
    Ready(usize),
    /// A signal came, or someone has used the set in this process, which was forked during the
    /// wait. The next step goes on.
    Interrupted,
    /// The next step goes on.
    Unfinished,
}

/// How many changes a short step applies, at most.
const FEW_CHANGES: usize = 64;
/// How many descriptors it asks about, or how many answers it is given, at most.
const FEW_DESCRIPTORS: usize = 128;

impl<'a> Waiting<'a> {
    pub(crate) fn new(set: &'a PollSet, wait: Loan<'a, Wait>, timeout: Timeout) -> Self {
        Self {
            wait,
            _settles: SettleOnDrop(set),
            set,
            timeout,
            to_block: None,
            stage: Stage::Prepare,
            was_interrupted: false,
        }
    }

    /// Whether the next step doesn't block and is usually over in a few microseconds: it asks about
    /// few descriptors, or is given few answers, and applies few changes.
    ///
    /// On epoll, it may also look for closed numbers, which takes up to 15 µs, and the first wait after
    /// an anonymous file (an eventfd, say) was registered takes 3 µs to tell what it is. And a file may
    /// take its time to say whether it is ready, if another process is asked for it.
    #[inline]
    #[must_use]
    pub fn is_short(&mut self) -> bool {
        let Some(wait) = self.wait.get() else { return false };
        match self.stage {
            Stage::Prepare => self.set.changes() <= FEW_CHANGES && !wait.wants_epoll(),
            Stage::Ask => asks_few(wait),
            Stage::Block => false,
            Stage::Over { .. } => true,
        }
    }

    /// Goes on with the wait. If it is over, says so again.
    ///
    /// A timeout that is a [`Duration`] counts from the first step that blocks.
    ///
    /// # Errors
    ///
    /// Those of [`PollSet::poll`], after which the wait can only be dropped.
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

    /// The next event of those that are ready, in registration order. Each is given once; `None` if
    /// there are no more, or the wait isn't over.
    #[inline]
    pub fn take_event(&mut self) -> Option<Event> {
        let mut answer = [(0, Event { fd: 0, revents: PollFlags::empty() })];
        (self.take_answers(&mut answer) == 1).then(|| answer[0].1)
    }

    /// As many of the next events as there are places in `answers`, each with the *slot* of its
    /// registration: a number below [`slots`](Self::slots), which stays the same until descriptors
    /// that were registered earlier are unregistered. For caches. Returns how many there are.
    #[inline]
    pub fn take_answers(&mut self, answers: &mut [(usize, Event)]) -> usize {
        match (self.stage, self.wait.get()) {
            (Stage::Over { .. }, Some(wait)) => wait.take_answers(answers),
            _ => 0,
        }
    }

    /// How many slots this wait has, once it is over: no fewer than it has descriptors, and no more
    /// than about twice as many.
    #[must_use]
    pub fn slots(&mut self) -> usize {
        self.wait.get().map_or(0, |wait| wait.slots())
    }

    /// Adds the events that are ready to `events`.
    #[inline]
    pub(crate) fn move_events_to(&mut self, events: &mut Vec<Event>) {
        if let Some(wait) = self.wait.get() {
            wait.move_events_to(events);
        }
    }

    #[inline]
    fn try_step(&mut self) -> io::Result<Step> {
        let counters = self.set.counters();
        // Someone has started over in this process, a forked child, since the last step.
        let Some(wait) = self.wait.get() else { return Err(Errno::INTR.into()) };
        // The answers may be the instance's.
        if !matches!(self.stage, Stage::Over { .. }) {
            wait.leave_parents_epoll(process_generation());
        }
        if self.stage == Stage::Prepare {
            self.set.prepare(wait);
            let asks = self.timeout.is_zero() || wait.is_probe_due();
            self.stage = if asks { Stage::Ask } else { Stage::Block };
            if !asks || !asks_few(wait) {
                return Ok(Step::Unfinished);
            }
        }
        let blocks = match self.stage {
            Stage::Over { ready } => return Ok(Step::Ready(ready)),
            stage => stage == Stage::Block,
        };
        // The clock is read only here: what is ready at once is reported without it.
        let until = if blocks {
            let left = self.timeout.start();
            self.to_block = self.to_block.or(left);
            wait.until_audit(left)
        } else {
            Some(Duration::ZERO)
        };
        let Some(ready) = wait.ask(until, counters)? else { return Ok(Step::Unfinished) };
        if blocks {
            if ready == 0 {
                if !self.timeout.is_over() {
                    wait.audit_blocked(counters);
                    return Ok(Step::Unfinished);
                }
                // poll(2) looks at each file once more when the time is up.
                if wait.compare_last(self.to_block.unwrap_or_default(), counters) {
                    return Ok(Step::Unfinished);
                }
            }
        } else if !self.timeout.is_zero() {
            wait.has_probed(ready);
            if ready == 0 {
                self.stage = Stage::Block;
                return Ok(Step::Unfinished);
            }
        }
        wait.record(ready, blocks, counters);
        self.stage = Stage::Over { ready };
        Ok(Step::Ready(ready))
    }

    /// Goes on after a signal, whose callback may have forked: this may be the child.
    #[cold]
    fn resume(&mut self) -> io::Result<()> {
        match self.wait.get() {
            // Signals may come faster than the time for an audit.
            Some(wait) => {
                wait.leave_parents_epoll(process_generation());
                wait.audit_blocked(self.set.counters());
            }
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
        // The kernel refuses more entries than the process may have descriptors. Other threads may have
        // unregistered some of them.
        let asked = self.wait.get().map_or(0, |wait| wait.registered());
        if errno == Some(Errno::INVAL) && self.set.len() < asked {
            self.stage = Stage::Prepare;
            return Ok(Step::Unfinished);
        }
        Err(error)
    }
}

fn asks_few(wait: &Wait) -> bool {
    wait.asks_at_most() <= FEW_DESCRIPTORS
}

/// A panic elsewhere leaves a wait as it was.
impl UnwindSafe for Waiting<'_> {}

impl fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("set", self.set).finish_non_exhaustive()
    }
}
