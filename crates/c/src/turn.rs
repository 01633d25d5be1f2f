//! Whose turn it is, when there is not enough room for the results of a wait.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

use pollset::Waiting;

/// A turn begins with the first descriptor in the order of registration. It ends when it has come round to
/// that, or has as many results as there were descriptors at its beginning. So those that are registered
/// later keep none of the others from its turn.
///
/// Only the thread that waits uses it.
pub struct Turn {
    /// The last descriptor of the results, and its slot.
    fd: AtomicI32,
    slot: AtomicUsize,
    /// The results until the turn ends. 0: the next wait begins a turn.
    left: AtomicUsize,
}

/// The results of a wait that had their turn.
#[derive(Clone, Copy)]
pub struct Taken {
    pub count: usize,
    /// How many of them come before the one with which the search began.
    pub of_next_turn: usize,
    /// The slot and the descriptor of the last one.
    pub last: (usize, RawFd),
}

impl Turn {
    pub const fn new() -> Self {
        Self { fd: AtomicI32::new(0), slot: AtomicUsize::new(0), left: AtomicUsize::new(0) }
    }

    /// Makes the results of a wait begin with the descriptor after the last one. If that was unregistered,
    /// another one may have moved to its slot. Returns the slot with which the search begins.
    pub fn begin(&self, waiting: &mut Waiting<'_>) -> usize {
        if self.left.load(Relaxed) == 0 {
            return 0;
        }
        let slot = self.slot.load(Relaxed);
        let first = waiting.slot_of(self.fd.load(Relaxed), slot).map_or(slot, |slot| slot + 1);
        waiting.rotate(first);
        first
    }

    /// There was no room for more results. `registered` is the number of descriptors.
    pub fn end(&self, results: Taken, registered: usize) {
        let left = match self.left.load(Relaxed) {
            0 => registered,
            left => left,
        };
        let left = match results.of_next_turn {
            0 => left.saturating_sub(results.count),
            count => registered.saturating_sub(count),
        };
        self.left.store(left, Relaxed);
        self.fd.store(results.last.1, Relaxed);
        self.slot.store(results.last.0, Relaxed);
    }

    /// There was room for all.
    pub fn reset(&self) {
        self.left.store(0, Relaxed);
    }
}
