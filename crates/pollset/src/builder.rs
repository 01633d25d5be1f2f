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
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    engine: Engine,
}

impl Builder {
    /// The usual one: [`Engine::Auto`].
    pub const fn new() -> Self {
        Self { engine: Engine::Auto }
    }

    /// Always uses this engine.
    pub const fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Makes an empty set.
    #[must_use]
    pub const fn build(self) -> PollSet {
        PollSet::with_engine(self.engine)
    }
}
