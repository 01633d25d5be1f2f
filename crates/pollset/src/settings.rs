//! How a set polls.

/// The system call by which a [`PollSet`](crate::PollSet) polls.
///
/// The results are the same, but for descriptors that are closed without being unregistered; see
/// [`PollSet`](crate::PollSet).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The cheaper of the two, chosen for each wait.
    #[default]
    Auto,
    /// Always poll(2): the cost of a wait grows with the number of registered descriptors.
    Poll,
    /// Always epoll(7), where the system has it: the cost of a wait grows with the number of ready
    /// descriptors.
    Epoll,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub engine: Engine,
    pub relaxed_audit: bool,
}

impl Settings {
    pub const fn new() -> Self {
        Self { engine: Engine::Auto, relaxed_audit: false }
    }
}
