//! What running programs has come to, in memory that forked children share: it is complete
//! whatever becomes of them.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::Duration;

use pollset::Engine;

use crate::raw;

/// Counters that only grow, and the reason why a program has failed.
pub struct SharedCounts {
    steps: AtomicU64,
    poll_waits: AtomicU64,
    epoll_waits: AtomicU64,
    comparisons: AtomicU64,
    settled: AtomicU64,
    longest: AtomicU64,
    reason: [AtomicU8; 4096],
}

/// A copy of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps of programs.
    pub steps: u64,
    /// Waits that were on poll(2) in the end.
    pub poll_waits: u64,
    /// Waits that were on epoll(7).
    pub epoll_waits: u64,
    /// Comparisons with the kernel.
    pub comparisons: u64,
    /// How often a set on epoll was waited for to find what was closed behind its back.
    pub settled: u64,
    /// The longest that took.
    pub longest: Duration,
}

impl SharedCounts {
    /// New ones, shared with all children that are forked from now on. They take a page or two, for
    /// ever.
    #[must_use]
    pub fn new() -> &'static Self {
        raw::shared_counts()
    }

    /// What they are now.
    pub fn snapshot(&self) -> Counts {
        Counts {
            steps: self.steps.load(Relaxed),
            poll_waits: self.poll_waits.load(Relaxed),
            epoll_waits: self.epoll_waits.load(Relaxed),
            comparisons: self.comparisons.load(Relaxed),
            settled: self.settled.load(Relaxed),
            longest: Duration::from_nanos(self.longest.load(Relaxed)),
        }
    }

    pub(crate) fn count_step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_wait(&self, engine: Option<Engine>) {
        match engine {
            Some(Engine::Epoll) => self.epoll_waits.fetch_add(1, Relaxed),
            _ => self.poll_waits.fetch_add(1, Relaxed),
        };
    }

    pub(crate) fn count_comparison(&self) {
        self.comparisons.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_settled(&self, took: Duration) {
        self.settled.fetch_add(1, Relaxed);
        self.longest.fetch_max(took.as_nanos() as u64, Relaxed);
    }

    /// The first reason counts: the others follow from it.
    pub(crate) fn give_reason(&self, reason: &str) {
        if self.reason[0].load(Relaxed) == 0 {
            for (place, byte) in self.reason.iter().zip(reason.bytes()) {
                place.store(byte, Relaxed);
            }
        }
    }

    pub(crate) fn take_reason(&self) -> String {
        let bytes = self.reason.iter().map(|byte| byte.swap(0, Relaxed));
        let bytes: Vec<u8> = bytes.take_while(|&byte| byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
