//! The epoll instance, without its events.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::atomic::AtomicU32;

use crate::shared::Fd;
use crate::sys::process_generation;

#[derive(Clone)]
pub struct Epoll {
    /// A bit for each entry. The kernel orders the calls. The model doesn't rely on it for the order
    /// of other memory: the operations are relaxed.
    entries: Arc<AtomicU32>,
    owner: u32,
}

impl Epoll {
    pub fn new() -> Self {
        Self { entries: Arc::new(AtomicU32::new(0)), owner: process_generation() }
    }

    pub fn is_owned_by(&self, generation: u32) -> bool {
        self.owner == generation
    }

    pub fn add(&self, fd: Fd) {
        self.assert_is_owner();
        assert_eq!(self.entries.fetch_or(1 << fd, Relaxed) & 1 << fd, 0, "{fd} was added before");
    }

    pub fn delete(&self, fd: Fd) {
        self.assert_is_owner();
        let entries = self.entries.fetch_and(!(1 << fd), Relaxed);
        assert_ne!(entries & 1 << fd, 0, "{fd} was deleted before");
    }

    /// The entries, in numeric order.
    pub fn installed(&self) -> Vec<Fd> {
        // Unlike a load, it reads the last value.
        let entries = self.entries.fetch_or(0, Relaxed);
        (0..Fd::BITS).filter(|fd| entries & 1 << fd != 0).collect()
    }

    /// The instance of a parent must be left alone.
    fn assert_is_owner(&self) {
        assert!(
            self.is_owned_by(process_generation()),
            "a child has changed its parent's instance"
        );
    }
}
