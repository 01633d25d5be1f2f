//! Bounds the attempts to connect: their queue, those in progress, and the connections that are kept.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// The maximum number of attempts in progress. The others are queued.
const MAX_IN_PROGRESS: usize = 512;
/// The maximum number of connections that are kept to notice that a service is gone.
const MAX_KEPT: usize = 256;
/// The time limit for an attempt: a host may drop the packets without a reply.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The time limit while other attempts are queued.
const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

/// An address of a service: the index of the target, and that of the address.
pub type AddressId = (usize, usize);

#[derive(Default)]
pub struct Attempts {
    queue: VecDeque<AddressId>,
    in_progress: BTreeSet<(Instant, AddressId)>,
    kept: usize,
}

impl Attempts {
    pub fn request(&mut self, id: AddressId) {
        self.queue.push_back(id);
    }

    /// The address to connect to next, if another attempt may begin.
    pub fn next(&mut self) -> Option<AddressId> {
        if self.in_progress.len() < MAX_IN_PROGRESS { self.queue.pop_front() } else { None }
    }

    /// Takes back what [`next`](Self::next) has returned.
    pub fn put_back(&mut self, id: AddressId) {
        self.queue.push_front(id);
    }

    pub fn begin(&mut self, id: AddressId, now: Instant) {
        self.in_progress.insert((now, id));
    }

    pub fn end(&mut self, id: AddressId, begun: Instant) {
        self.in_progress.remove(&(begun, id));
    }

    /// The time limit for an attempt.
    pub fn timeout(&self) -> Duration {
        if self.queue.is_empty() { TIMEOUT } else { SHORT_TIMEOUT }
    }

    /// When the oldest attempt reaches its time limit.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.in_progress.first().map(|&(begun, _)| begun + self.timeout())
    }

    /// The oldest attempt, if it began at `time` or before.
    pub fn begun_before(&self, time: Instant) -> Option<AddressId> {
        self.in_progress.first().filter(|(begun, _)| *begun <= time).map(|&(_, id)| id)
    }

    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether another connection may be kept.
    pub fn may_keep(&self) -> bool {
        self.kept < MAX_KEPT && self.queue.is_empty()
    }

    pub fn keep(&mut self) {
        self.kept += 1;
    }

    pub fn end_keeping(&mut self) {
        self.kept -= 1;
    }
}
