use std::time::{Duration, Instant};

/// How long a wait may take.
///
/// Every method that waits takes `impl Into<Timeout>`, so `None`, a [`Duration`], an
/// `Option<Duration>` and an [`Instant`] can be given as they are.
///
/// A wait is **never early**: with nothing to report it returns when the time is up or later, to
/// the nanosecond on systems that have `ppoll(2)`, rounded up to a millisecond elsewhere. How
/// much later is up to the system's timers and scheduler, and to how long asking every
/// descriptor once takes.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pollset::PollSet;
///
/// let set = PollSet::new(); // nothing is watched, so these sleep
/// let start = Instant::now();
/// set.poll(Duration::from_micros(300))?;
/// set.poll(start + Duration::from_micros(700))?;
/// assert!(start.elapsed() >= Duration::from_micros(700));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// Wait until there is something to report, however long that takes.
    Never,
    /// Wait for this long at most. Zero: ask, and don't wait.
    After(Duration),
    /// Wait until this moment at the latest. One that has passed: ask, and don't wait.
    At(Instant),
}

impl Timeout {
    /// Counts from now, if it doesn't yet, and returns how long is left. What is later than the
    /// clock can tell is never.
    pub(crate) fn start(&mut self) -> Option<Duration> {
        match *self {
            Timeout::Never => None,
            Timeout::After(duration) => {
                let deadline = Instant::now().checked_add(duration);
                *self = deadline.map_or(Timeout::Never, Timeout::At);
                Some(duration)
            }
            Timeout::At(at) => Some(at.saturating_duration_since(Instant::now())),
        }
    }

    /// Whether the time is up, once it was started.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Timeout::At(at) if at <= Instant::now())
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Timeout::After(Duration::ZERO)
    }
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        Timeout::After(duration)
    }
}

/// `None` is [`Timeout::Never`].
impl From<Option<Duration>> for Timeout {
    fn from(duration: Option<Duration>) -> Self {
        duration.map_or(Timeout::Never, Timeout::After)
    }
}

impl From<Instant> for Timeout {
    fn from(deadline: Instant) -> Self {
        Timeout::At(deadline)
    }
}
