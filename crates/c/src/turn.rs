//! Whose turn it is, when there is not enough room for the results of a wait.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

use pollset::Waiting;

/// Only the thread that waits uses it.
pub struct Turn {
    /// The last descriptor that was written to the results, and its slot.
    fd: AtomicI32,
    slot: AtomicUsize,
    /// The number of slots when the first descriptor had its turn; 0, if there was room for all. Those that
    /// are registered later wait until the others have had their turn.
    end: AtomicUsize,
}

/// No descriptor has had its turn.
const NONE: RawFd = -1;

impl Turn {
    pub const fn new() -> Self {
        Self { fd: AtomicI32::new(NONE), slot: AtomicUsize::new(0), end: AtomicUsize::new(0) }
    }

    /// Makes the results of a wait begin with the descriptor after the last one. If that was unregistered,
    /// another one may have moved to its slot.
    pub fn begin(&self, waiting: &mut Waiting<'_>) {
        let (slot, end) = (self.slot.load(Relaxed), self.end.load(Relaxed));
        let first = if end == 0 {
            0
        } else {
            waiting.slot_of(self.fd.load(Relaxed), slot).map_or(slot, |slot| slot + 1)
        };
        if first < end {
            waiting.rotate(first);
        } else {
            self.end(NONE, 0);
            self.end.store(waiting.slots(), Relaxed);
        }
    }

    /// There was no room for more than these.
    pub fn end(&self, fd: RawFd, slot: usize) {
        self.fd.store(fd, Relaxed);
        self.slot.store(slot, Relaxed);
    }

    /// There was room for all.
    pub fn reset(&self) {
        self.end.store(0, Relaxed);
    }
}
