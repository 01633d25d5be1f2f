//! Counters in memory that forked children share: complete even if a child crashes.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::Duration;

use pollset::Engine;

use crate::raw;

/// Counters that only grow, and the message of the first failure.
pub struct SharedCounts {
    ops: AtomicU64,
    poll_waits: AtomicU64,
    epoll_waits: AtomicU64,
    comparisons: AtomicU64,
    audits: AtomicU64,
    longest_detection: AtomicU64,
    failure: [AtomicU8; 4096],
}

/// A snapshot of [`SharedCounts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations of programs.
    pub ops: u64,
    /// Waits that ended on poll(2).
    pub poll_waits: u64,
    /// Waits that ended on epoll(7).
    pub epoll_waits: u64,
    /// Comparisons with the kernel.
    pub comparisons: u64,
    /// How often a program waited until the audit of a set on epoll had found all stale entries.
    pub audits: u64,
    /// The longest time that took.
    pub longest_detection: Duration,
}

impl SharedCounts {
    /// New counters, shared with all children forked from now on. Their memory, a page or two, is
    /// never freed.
    #[must_use]
    pub fn new() -> &'static Self {
        raw::shared_counts()
    }

    /// The current values.
    pub fn snapshot(&self) -> Counts {
        Counts {
            ops: self.ops.load(Relaxed),
            poll_waits: self.poll_waits.load(Relaxed),
            epoll_waits: self.epoll_waits.load(Relaxed),
            comparisons: self.comparisons.load(Relaxed),
            audits: self.audits.load(Relaxed),
            longest_detection: Duration::from_nanos(self.longest_detection.load(Relaxed)),
        }
    }

    pub(crate) fn count_op(&self) {
        self.ops.fetch_add(1, Relaxed);
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

    pub(crate) fn count_audit(&self, detected_after: Duration) {
        self.audits.fetch_add(1, Relaxed);
        self.longest_detection.fetch_max(detected_after.as_nanos() as u64, Relaxed);
    }

    /// Keeps the first message only: later failures follow from the first.
    pub(crate) fn set_failure(&self, message: &str) {
        if self.failure[0].load(Relaxed) == 0 {
            for (place, byte) in self.failure.iter().zip(message.bytes()) {
                place.store(byte, Relaxed);
            }
        }
    }

    pub(crate) fn take_failure(&self) -> String {
        let bytes = self.failure.iter().map(|byte| byte.swap(0, Relaxed));
        let bytes: Vec<u8> = bytes.take_while(|&byte| byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
