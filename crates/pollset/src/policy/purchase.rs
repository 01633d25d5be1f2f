//! Whether an epoll instance, or entries in it, have paid.
//!
//! The ski-rental problem: entries are installed when the waits on poll(2) have cost as much more
//! than with epoll as the installation costs.

use super::cost::Cost;
use crate::engine::Pending;

/// The price of an instance, and of each addition to it and modification in it.
const INSTANCE: f32 = 1_000.0;
const ADDITION: f32 = 1_000.0;
const MODIFICATION: f32 = 300.0;
/// This many entries are installed first, when a quarter of the assumed price is paid. They show the
/// price of the others.
const FIRST_ENTRIES: usize = 16;
/// The others follow in parts that cost at most this share of the excess of the waits on poll(2).
const PART: f32 = 1.0 / 8.0;
/// The entries that one wait installs cost at most this many nanoseconds, or this many times as much
/// as a wait on poll(2) if that is more. So no wait of a large set takes far longer than the others.
const MAX_COST: f32 = 1e6;
const MAX_WAITS: f32 = 2.0;
/// The price is multiplied by no more than this after failures.
const MAX_BACKOFF: u16 = 1 << 12;

pub struct Purchase {
    /// Of additions to the instance.
    pub addition: Cost,
    /// Of modifications in it.
    modification: Cost,
    has_installed: bool,
    /// Nanoseconds by which the waits on poll(2) have been dearer than epoll would have been, since
    /// entries were installed.
    excess: f32,
    /// By what the price is multiplied, because instances could not be created.
    backoff: u16,
}

impl Purchase {
    pub const fn new() -> Self {
        Self {
            addition: Cost::assumed(0.0, ADDITION),
            modification: Cost::assumed(0.0, MODIFICATION),
            has_installed: false,
            excess: 0.0,
            backoff: 1,
        }
    }

    pub fn backoff(&self) -> u32 {
        self.backoff.into()
    }

    pub fn instance_price(&self, descriptors: usize) -> f32 {
        f32::from(self.backoff) * (INSTANCE + self.additions_price(descriptors))
    }

    pub fn price(&self, pending: Pending) -> f32 {
        self.additions_price(pending.additions)
            + self.modification.predict(pending.modifications as f32)
    }

    /// While the price of an addition is not known, a quarter: the first ones will show it.
    fn additions_price(&self, additions: usize) -> f32 {
        let least = additions.min(FIRST_ENTRIES);
        let is_known = self.addition.samples() > 0;
        self.addition.predict(if is_known { additions } else { least.max(additions / 4) } as f32)
    }

    /// What the entries that one wait installs may cost, if it is `usual` for a wait to cost this.
    fn limit(usual: f32) -> f32 {
        MAX_COST.max(MAX_WAITS * usual)
    }

    /// Whether a wait may install more entries than those that have cost what it has `spent`.
    pub fn may_spend_more(spent: f32, usual: f32) -> bool {
        spent < Self::limit(usual)
    }

    /// Whether the waits on poll(2) have cost more than with epoll by the `price`, including those that
    /// are still to come until all entries are installed. `advantage`: what each is predicted to cost
    /// more.
    pub fn is_paid(&self, price: f32, usual: f32, advantage: f32) -> bool {
        let waits = (price / Self::limit(usual)).max(1.0);
        advantage > 0.0 && self.excess + waits * advantage > price
    }

    /// A wait on poll(2) has cost more than with epoll by this, or less.
    #[inline]
    pub fn pay(&mut self, advantage: f32) {
        self.excess = (self.excess + advantage).max(0.0);
    }

    /// The advantage of the waits until now was not what it was predicted `before`.
    pub fn correct(&mut self, before: f32, after: f32) {
        if self.excess > 0.0 {
            self.excess *= if before > 0.0 { (after / before).max(0.0) } else { 0.0 };
        }
    }

    /// How many of the pending entries to install at a time.
    pub fn part(&self, pending: Pending, spent: f32, usual: f32) -> usize {
        if pending.len() <= FIRST_ENTRIES || self.addition.samples() == 0 {
            return pending.len().min(FIRST_ENTRIES);
        }
        let cost = (PART * self.excess).min(Self::limit(usual) - spent);
        let paid = cost / self.addition.predict(1.0);
        pending.len().min((paid as usize).max(FIRST_ENTRIES))
    }

    /// Whether to time the installation of some entries in this wait, which is timed or not. The first
    /// time, code and memory are not in the caches.
    pub fn times(&mut self, entries: usize, is_timed: bool) -> bool {
        let is_first = !std::mem::replace(&mut self.has_installed, true);
        !is_first && (is_timed || entries >= FIRST_ENTRIES)
    }

    /// Records the processor time of installing some entries, and of how many the instance had none.
    pub fn record(&mut self, entries: usize, added: usize, nanoseconds: f32) {
        self.excess = (self.excess - nanoseconds).max(0.0);
        let number = entries as f32;
        if added == entries && entries >= FIRST_ENTRIES {
            self.addition.replace(number, nanoseconds);
        } else if added == entries {
            self.addition.learn(number, nanoseconds);
        } else if added == 0 {
            self.modification.learn(number, nanoseconds);
        }
    }

    /// The instance has served a wait.
    #[inline]
    pub fn served(&mut self) {
        self.excess = 0.0;
        self.backoff = 1;
    }

    /// No instance could be created, or not for all descriptors.
    pub fn refused(&mut self) {
        self.excess = 0.0;
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
    }
}
