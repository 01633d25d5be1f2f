//! How a set polls.

/// The system call by which a [`PollSet`](crate::PollSet) polls.
///
/// A set chooses the cheaper one for each wait, unless [`Builder::engine`](crate::Builder::engine)
/// forces one. The results are the same, but for descriptors that are closed without being
/// unregistered; see [`PollSet`](crate::PollSet).
///
/// ```
/// use pollset::{Builder, Engine};
///
/// let set = Builder::new().engine(Some(Engine::Poll)).build();
/// set.poll(std::time::Duration::ZERO)?;
/// assert_eq!(set.stats().last_engine, Some(Engine::Poll));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// poll(2): the cost of a wait grows with the number of registered descriptors.
    Poll,
    /// epoll(7): the cost of a wait grows with the number of ready descriptors.
    Epoll,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The engine of all waits. `None`: the policy chooses it for each wait.
    pub forced: Option<Engine>,
    pub relaxed_audit: bool,
}

impl Settings {
    pub const fn new() -> Self {
        Self { forced: None, relaxed_audit: false }
    }
}
