use crate::PollSet;

/// What a [`PollSet`] asks the kernel with.
///
/// The answers are the same, but for descriptors that are closed without being unregistered; see
/// [`PollSet`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Whichever is cheaper, chosen anew for each wait.
    #[default]
    Auto,
    /// Always poll(2): a wait costs in proportion to the descriptors that are registered.
    Poll,
    /// Always epoll(7), where the system has it: a wait costs in proportion to those that are
    /// ready.
    Epoll,
}

/// Makes a [`PollSet`] that is not the usual one.
///
/// ```
/// use pollset::{Builder, Engine};
///
/// let set = Builder::new().engine(Engine::Poll).build();
/// assert!(set.is_empty());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Builder {
    pub(crate) engine: Engine,
    pub(crate) relaxed_audit: bool,
}

impl Builder {
    /// The usual one: [`Engine::Auto`].
    pub const fn new() -> Self {
        Self { engine: Engine::Auto, relaxed_audit: false }
    }

    /// Always uses this engine.
    pub const fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Looks at leisure for what epoll doesn't tell: numbers that were closed without being
    /// unregistered, and sockets that became ready without waking their waiters. They may go unnoticed
    /// for about a second, however many waits follow each other. For programs that unregister before
    /// they close; it saves 1 to 5 % of the time of a large set.
    pub const fn audit_at_leisure(mut self) -> Self {
        self.relaxed_audit = true;
        self
    }

    /// Makes an empty set.
    #[must_use]
    pub const fn build(self) -> PollSet {
        PollSet::with(self)
    }
}
