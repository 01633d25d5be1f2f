//! Makes sets and maps with other settings than the usual ones.

use crate::settings::{Engine, Settings};
use crate::{PollMap, PollSet};

/// Makes a [`PollSet`] or a [`PollMap`] with other settings than the usual ones.
///
/// ```
/// use pollset::{Builder, Engine};
///
/// let set = Builder::new().engine(Some(Engine::Poll)).build();
/// assert!(set.is_empty());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Builder(Settings);

impl Builder {
    /// The settings of [`PollSet::new`].
    ///
    /// ```
    /// assert!(pollset::Builder::new().build().is_empty());
    /// ```
    pub const fn new() -> Self {
        Self(Settings::new())
    }

    /// Forces an engine. Where the system has no epoll(7), every wait uses poll(2) all the same.
    /// `None`: the cheaper one is chosen for each wait, as it is if this isn't called.
    ///
    /// ```
    /// use pollset::{Builder, Engine};
    ///
    /// let is_forced = std::env::args().any(|argument| argument == "--epoll");
    /// let set = Builder::new().engine(is_forced.then_some(Engine::Epoll)).build();
    /// # assert!(set.is_empty());
    /// ```
    pub const fn engine(mut self, engine: Option<Engine>) -> Self {
        self.0.forced = engine;
        self
    }

    /// Makes the checks that epoll needs less often, which saves 1 to 5 % of the time of a large set.
    ///
    /// A number that is closed without being unregistered, or a socket that becomes ready without
    /// waking its waiters, may then go unnoticed for about a second however frequent the waits are.
    /// For programs that unregister a descriptor before they close it.
    ///
    /// ```
    /// use pollset::{Builder, PollSet};
    ///
    /// static SET: PollSet = Builder::new().relaxed_audit().build();
    /// assert!(SET.is_empty());
    /// ```
    pub const fn relaxed_audit(mut self) -> Self {
        self.0.relaxed_audit = true;
        self
    }

    /// Makes an empty set. Neither allocates nor makes a system call.
    ///
    /// ```
    /// assert!(pollset::Builder::new().build().is_empty());
    /// ```
    #[must_use]
    pub const fn build(self) -> PollSet {
        PollSet::with(self.0)
    }

    /// Makes an empty map.
    ///
    /// ```
    /// use pollset::{Builder, Engine};
    ///
    /// let map = Builder::new().engine(Some(Engine::Poll)).build_map::<String>();
    /// assert!(map.is_empty());
    /// ```
    #[must_use]
    pub const fn build_map<T>(self) -> PollMap<T> {
        PollMap::with(self.build())
    }
}
