//! Counters of a set.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::settings::Engine;

/// The counters of a set, from its creation on. They cost a wait one or two memory writes.
///
/// ```
/// use std::time::Duration;
/// use pollset::{Engine, PollSet};
///
/// let set = PollSet::new();
/// set.poll(Duration::ZERO)?;
/// let stats = set.stats();
/// assert_eq!((stats.poll_waits, stats.last_engine), (1, Some(Engine::Poll)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The engine of the last wait; `None` before the first.
    pub last_engine: Option<Engine>,
    /// Waits on poll(2).
    pub poll_waits: u64,
    /// Waits on epoll(7).
    pub epoll_waits: u64,
    /// Entries that were added to epoll, modified, or made fallbacks, which poll(2) polls.
    pub changes_applied: u64,
    /// Entries that were re-checked, because their numbers may refer to another file now.
    pub audited: u64,
    /// Entries whose events were compared with those of poll(2).
    pub compared: u64,
    /// epoll instances that were replaced because of stale entries, which can't be deleted any more, or
    /// because serials were exhausted.
    pub replaced: u64,
    /// Failures to create, fill or use an epoll instance, and instances that were lost: other code
    /// closed or replaced their numbers.
    pub refused: u64,
}

/// The counters: one thread at a time writes them, any thread reads them.
pub struct Counters {
    pub poll_waits: Counter,
    pub epoll_waits: Counter,
    pub changes_applied: Counter,
    pub audited: Counter,
    pub compared: Counter,
    pub replaced: Counter,
    pub refused: Counter,
    /// 0: none, 1: poll(2), 2: epoll(7).
    last_engine: Counter,
}

impl Counters {
    pub const fn new() -> Self {
        Self {
            poll_waits: Counter::new(),
            epoll_waits: Counter::new(),
            changes_applied: Counter::new(),
            audited: Counter::new(),
            compared: Counter::new(),
            replaced: Counter::new(),
            refused: Counter::new(),
            last_engine: Counter::new(),
        }
    }

    pub fn count_wait(&self, is_on_epoll: bool) {
        let (waits, engine) =
            if is_on_epoll { (&self.epoll_waits, 2) } else { (&self.poll_waits, 1) };
        waits.add(1);
        self.last_engine.set(engine);
    }

    pub fn snapshot(&self) -> Stats {
        Stats {
            last_engine: match self.last_engine.get() {
                0 => None,
                1 => Some(Engine::Poll),
                _ => Some(Engine::Epoll),
            },
            poll_waits: self.poll_waits.get(),
            epoll_waits: self.epoll_waits.get(),
            changes_applied: self.changes_applied.get(),
            audited: self.audited.get(),
            compared: self.compared.get(),
            replaced: self.replaced.get(),
            refused: self.refused.get(),
        }
    }
}

/// Only the thread that has leased the engines writes it, so it needs no atomic addition.
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn add(&self, count: u64) {
        self.set(self.get() + count);
    }

    fn set(&self, count: u64) {
        self.0.store(count, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
