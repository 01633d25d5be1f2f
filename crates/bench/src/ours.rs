//! The library.

use std::io;
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet, Timeout};

use crate::crowd::Crowd;

/// A set, and the list that its events go to.
pub struct Ours {
    pub set: PollSet,
    timeout: Timeout,
    events: Vec<Event>,
}

impl Ours {
    pub fn new(engine: Engine, timeout: impl Into<Timeout>) -> Self {
        let set = Builder::new().engine(engine).build();
        Self { set, timeout: timeout.into(), events: Vec::with_capacity(1) }
    }

    pub fn watching(
        crowd: &Crowd,
        engine: Engine,
        timeout: impl Into<Timeout>,
    ) -> io::Result<Self> {
        let ours = Self::new(engine, timeout);
        ours.watch(crowd)?;
        Ok(ours)
    }

    pub fn watch(&self, crowd: &Crowd) -> io::Result<()> {
        crowd.numbers().try_for_each(|fd| self.set.register(fd, PollFlags::IN))
    }

    /// How many are ready.
    pub fn wait(&mut self) -> usize {
        self.set.poll_into(&mut self.events, self.timeout).expect("the wait succeeds")
    }

    /// Makes `call`, which waits once, until the set keeps to an engine: a set has to pay rent on
    /// poll(2) before it buys an epoll instance, and what is measured is how it goes on then.
    pub fn warm_up(&mut self, mut call: impl FnMut(&mut Self)) {
        const STEADY: u32 = 2_000;
        const MOST_WAITS: u32 = 20_000;
        const MOST_TIME: Duration = Duration::from_secs(2);

        let start = Instant::now();
        let (mut engine, mut steady) = (None, 0);
        for _ in 0..MOST_WAITS {
            call(self);
            let last_engine = self.set.stats().last_engine;
            steady = if last_engine == engine { steady + 1 } else { 0 };
            engine = last_engine;
            if steady == STEADY || start.elapsed() > MOST_TIME {
                break;
            }
        }
    }
}
