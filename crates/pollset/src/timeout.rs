//! Timeouts and deadlines.

use std::time::{Duration, Instant};

/// The longest time that a wait may take.
///
/// Every method that waits takes `impl Into<Timeout>`, so `None`, a [`Duration`], an
/// `Option<Duration>` and an [`Instant`] can be given as they are.
///
/// A wait is **never early**: without events it returns when the time is up or later. The resolution
/// is a nanosecond on systems with `ppoll(2)`, elsewhere times are rounded up to a millisecond. How
/// much later it returns depends on the system's timers and scheduler, and on the number of
/// descriptors.
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
#[non_exhaustive]
pub enum Timeout {
    /// Wait without a limit.
    Never,
    /// Wait for at most this time. Zero: don't block.
    After(Duration),
    /// Wait until this time at the latest. If it has passed: don't block.
    At(Instant),
}

impl Timeout {
    /// Starts to count, unless it has started, and returns the time that is left. A deadline that the
    /// clock can't represent is none.
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
