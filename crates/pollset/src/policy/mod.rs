//! The policy: decides which engine serves a wait.
//!
//! The cost of poll(2) grows with the registered descriptors, that of epoll with the ready ones. What
//! each costs depends on the processor, on the kinds of the descriptors, on the caches and on the
//! threads of the process. So the costs are learnt from the waits of the set:
//!
//! - *Samples.* One wait in 64 is timed, and more at first, and after a sample that was off by a
//!   quarter. Each corrects the prediction for its engine ([`Cost`]). A call that may block is timed
//!   by the processor time of the thread, which costs more, one that doesn't block by the clock.
//! - *Choice.* The engine changes when the other one is predicted to be cheaper by 5 % for the load:
//!   the averages of the ready descriptors, and of the waits that have blocked, over the last few
//!   waits.
//! - *Purchase.* To create and fill an instance has a price, and so has each addition to it: the
//!   ski-rental problem. Entries are installed when the waits on poll(2) since the last installation,
//!   the next one included, have cost more than epoll would have *by the price*. So this never costs
//!   more than about twice as much as the best choice in hindsight, and a set that polls a few times
//!   and is dropped never creates an instance. The price of an addition is not known before there was
//!   one: a few entries are installed first, and the rest when their price has been paid.
//! - *Trials.* The costs of the engine that isn't used may be wrong by now. So now and then it serves
//!   three waits. All trials together take at most 1/64 of the cost of the waits (1/16 before epoll
//!   has been timed), and a wait of a trial at most 16 times as long as predicted for the other
//!   engine. Beyond that, an error of the prediction isn't plausible.
//!
//! So after the first samples a load that stays the same costs at most 5 % and 1/64 more than with
//! the better engine, as far as the samples are right.

mod cost;

use crate::registrations::SMALL;
use crate::settings::Engine;
use cost::Cost;

/// The costs until there are samples lie between those of an Intel Xeon and an AMD EPYC.
const POLL: Costs = Costs::assumed([200.0, 20.0], [2_000.0, 60.0]);
const EPOLL: Costs = Costs::assumed([300.0, 110.0], [2_000.0, 110.0]);
/// The price of an instance, and of each entry in it.
const INSTANCE: f32 = 1_000.0;
const ENTRY: f32 = 1_000.0;
/// So many entries are installed first, when this part of the assumed price is paid, then twice as
/// many, and so on, as long as the rest pays.
const FIRST_ENTRIES: usize = 16;
const FIRST_PART: usize = 4;
const MAX_INSTALLATIONS: u8 = 12;

/// An engine is left if the other one costs less than this share.
const HYSTERESIS: f32 = 0.95;
/// The price is multiplied by no more than this after failures.
const MAX_BACKOFF: u32 = 1 << 12;

/// One wait in this many is timed.
const MAX_INTERVAL: u8 = 64;
/// The first one that is timed: a set that is polled a few times and dropped pays nothing for it.
const FIRST_SAMPLE: u8 = 2;
/// The waits of a trial. The first one is not timed: its memory isn't in the caches.
const TRIAL: u8 = 3;
/// The share of the cost of the waits that trials may take, before epoll has samples and after.
const FIRST_SHARE: f32 = 1.0 / 16.0;
const SHARE: f32 = 1.0 / 64.0;
/// A wait of a trial takes at most this many times as long, as predicted. An instance is created for
/// a trial only if epoll is predicted to take at most so many times as long.
const MAX_RATIO: f32 = 16.0;
const MAX_RATIO_TO_CREATE: f32 = 2.5;
/// The most samples between two trials.
const MAX_TRIAL_GAP: u8 = 32;

pub struct Policy {
    forced: Engine,
    poll: Costs,
    epoll: Costs,
    /// Of an addition to the instance, or a modification.
    entry: Cost,
    /// How often many entries were installed, up to a few times.
    installations: u8,
    /// What poll(2) costs each descriptor, as the audit has measured it.
    compared: f32,
    load: Load,
    /// What the costs of the next wait were predicted for.
    descriptors: u32,
    fallbacks: u32,
    poll_prediction: f32,
    epoll_prediction: f32,
    /// The engine, but for trials.
    prefers_epoll: bool,
    /// Nanoseconds by which the waits on poll(2) have been dearer than epoll would have been, since
    /// entries were installed. If epoll is forced, the number of waits, for the backoff.
    excess: f32,
    /// By what the price is multiplied, because instances could not be created.
    backoff: u32,
    /// A sample has changed the costs since.
    is_outdated: bool,
    /// Whether the calls of the next wait, or of this one, are timed.
    is_timed: bool,
    until_sample: u8,
    interval: u8,
    /// Nanoseconds that trials may cost.
    budget: f32,
    /// The waits that are left of a trial.
    trial: u8,
    is_trial_on_epoll: bool,
    until_trial: u8,
    trial_gap: u8,
}

/// A call that was timed.
#[derive(Clone, Copy)]
pub struct Call {
    pub is_on_epoll: bool,
    pub blocks: bool,
}

/// A wait that is over.
#[derive(Clone, Copy)]
pub struct Wait {
    pub descriptors: usize,
    pub ready: usize,
    pub has_blocked: bool,
    pub is_on_epoll: bool,
    /// Whether there is an instance.
    pub has_epoll: bool,
}

/// The costs of an engine.
struct Costs {
    /// Of a call that doesn't block.
    probe: Cost,
    /// Of a call that may block: processor time.
    block: Cost,
}

/// The averages of the last few waits.
struct Load {
    ready: f32,
    /// The share of the waits that have blocked.
    blocked: f32,
    last_ready: u32,
    last_blocked: bool,
    /// The averages are those of the last wait.
    is_steady: bool,
}

/// Before the first wait.
const NONE: u32 = u32::MAX;

impl Costs {
    const fn assumed(probe: [f32; 2], block: [f32; 2]) -> Self {
        Self { probe: Cost::assumed(probe[0], probe[1]), block: Cost::assumed(block[0], block[1]) }
    }

    fn of(&mut self, blocks: bool) -> &mut Cost {
        if blocks { &mut self.block } else { &mut self.probe }
    }

    fn has_samples(&self) -> bool {
        self.probe.has_samples() || self.block.has_samples()
    }

    fn at(&self, descriptors: f32, blocked: f32) -> f32 {
        (1.0 - blocked) * self.probe.at(descriptors) + blocked * self.block.at(descriptors)
    }
}

impl Load {
    const fn new() -> Self {
        Self { ready: 0.0, blocked: 0.0, last_ready: NONE, last_blocked: false, is_steady: false }
    }

    /// Whether the averages don't change by this wait.
    #[inline]
    fn is_steady_at(&self, wait: Wait) -> bool {
        self.is_steady
            && (self.last_ready, self.last_blocked) == (wait.ready as u32, wait.has_blocked)
    }

    fn add(&mut self, wait: Wait) {
        let (ready, blocked) = (wait.ready as f32, f32::from(u8::from(wait.has_blocked)));
        if self.last_ready == NONE {
            (self.ready, self.blocked) = (ready, blocked);
        }
        self.ready = approach(self.ready, ready);
        self.blocked = approach(self.blocked, blocked);
        (self.last_ready, self.last_blocked) = (wait.ready as u32, wait.has_blocked);
        self.is_steady = (self.ready, self.blocked) == (ready, blocked);
    }
}

fn approach(average: f32, value: f32) -> f32 {
    let difference = value - average;
    if difference.abs() < 0.02 { value } else { average + difference / 4.0 }
}

impl Policy {
    pub const fn new(engine: Engine) -> Self {
        Self {
            forced: if cfg!(has_epoll) { engine } else { Engine::Poll },
            poll: POLL,
            epoll: EPOLL,
            entry: Cost::assumed(0.0, ENTRY),
            installations: 0,
            compared: f32::INFINITY,
            load: Load::new(),
            descriptors: 0,
            fallbacks: 0,
            poll_prediction: 0.0,
            epoll_prediction: 0.0,
            prefers_epoll: false,
            excess: 0.0,
            backoff: 1,
            is_outdated: false,
            is_timed: false,
            until_sample: FIRST_SAMPLE,
            interval: 1,
            budget: 0.0,
            trial: 0,
            is_trial_on_epoll: false,
            until_trial: 1,
            trial_gap: 1,
        }
    }

    /// Whether to create an epoll instance for this number of descriptors.
    #[inline]
    pub fn should_create(&self, descriptors: usize) -> bool {
        match self.forced {
            Engine::Poll => false,
            Engine::Epoll => self.excess + 1.0 >= self.backoff as f32,
            Engine::Auto => {
                descriptors > SMALL && (self.trial > 0 || self.can_pay(descriptors, INSTANCE))
            }
        }
    }

    /// Whether the waits on poll(2), including the next one, are dearer than epoll by the price of
    /// these additions.
    fn can_pay(&self, entries: usize, instance: f32) -> bool {
        let advantage = self.poll_prediction - self.epoll_prediction;
        // The first few entries show the price of the others.
        let is_known = self.installations > 0;
        let first = if is_known { entries } else { (entries / FIRST_PART).max(FIRST_ENTRIES) };
        let price = instance + self.entry.at(entries.min(first) as f32);
        advantage > 0.0 && self.excess + advantage > self.backoff as f32 * price
    }

    /// Whether to use the epoll instance, which has no entry for the `fallbacks`, and lacks the
    /// `pending` changes.
    #[inline]
    pub fn should_use(&mut self, descriptors: usize, fallbacks: usize, pending: usize) -> bool {
        match self.forced {
            Engine::Poll => false,
            Engine::Epoll => true,
            Engine::Auto if descriptors <= SMALL => false,
            Engine::Auto => {
                if self.trial == 0 && pending == 0 && self.is_prediction_for(descriptors, fallbacks)
                {
                    return self.prefers_epoll;
                }
                self.weigh(descriptors, fallbacks, pending)
            }
        }
    }

    fn is_prediction_for(&self, descriptors: usize, fallbacks: usize) -> bool {
        (self.descriptors, self.fallbacks) == (descriptors as u32, fallbacks as u32)
    }

    #[cold]
    fn weigh(&mut self, descriptors: usize, fallbacks: usize, pending: usize) -> bool {
        if !self.is_prediction_for(descriptors, fallbacks) {
            self.predict(descriptors, fallbacks);
        }
        let is_trial = self.trial > 0;
        let wants_epoll = if is_trial { self.is_trial_on_epoll } else { self.prefers_epoll };
        wants_epoll && (pending == 0 || self.should_install(pending))
    }

    fn should_install(&mut self, pending: usize) -> bool {
        if self.trial == 0 {
            return self.can_pay(pending, 0.0);
        }
        let price = self.entry.at(pending as f32);
        if price > self.budget {
            self.trial = 0;
            return false;
        }
        true
    }

    /// How many of the pending entries to install at a time.
    pub fn installable(&self, pending: usize) -> usize {
        match self.forced {
            Engine::Auto => pending.min(FIRST_ENTRIES << self.installations),
            _ => pending,
        }
    }

    /// Whether to time the installation of some entries.
    pub fn times_entries(&self, entries: usize) -> bool {
        self.forced == Engine::Auto && (self.is_timed || entries >= FIRST_ENTRIES)
    }

    /// Records the processor time of an installation.
    pub fn record_entries(&mut self, entries: usize, nanoseconds: u64) {
        if self.trial > 0 {
            self.budget -= nanoseconds as f32;
        }
        self.entry.learn(entries as f32, nanoseconds as f32);
        self.installations = (self.installations + 1).min(MAX_INSTALLATIONS);
    }

    /// Whether the calls of this wait are timed.
    #[inline]
    pub fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// Records the time of a call for this number of descriptors, which has found `ready` ones.
    pub fn record_call(&mut self, call: Call, descriptors: usize, ready: usize, nanoseconds: u64) {
        let nanoseconds = nanoseconds as f32;
        let is_first = !self.poll.has_samples();
        let is_off = if call.is_on_epoll {
            // A part is epoll's, however much the fallbacks were predicted to take.
            let own = nanoseconds - self.fallback_prediction();
            self.epoll.of(call.blocks).learn(ready as f32, own.max(nanoseconds / 8.0))
        } else {
            let poll = self.poll.of(call.blocks);
            let is_off = poll.learn(descriptors as f32, nanoseconds);
            let assumed = if call.blocks { &EPOLL.block } else { &EPOLL.probe };
            self.epoll.of(call.blocks).assume(assumed, poll);
            is_off
        };
        if is_off {
            self.interval = 1;
            self.until_sample = self.until_sample.min(2);
        }
        if is_first && self.excess > 0.0 {
            // The waits before were as dear.
            let before = self.poll_prediction - self.epoll_prediction;
            self.predict(descriptors, self.fallbacks as usize);
            let after = self.poll_prediction - self.epoll_prediction;
            self.excess *= if before > 0.0 { (after / before).max(0.0) } else { 0.0 };
        }
        self.is_outdated = true;
    }

    /// Records what the audit measures: the nanoseconds of a poll(2) for each descriptor of a few.
    pub fn record_compared(&mut self, nanoseconds: u64) {
        self.compared = nanoseconds as f32;
    }

    /// The instance has served a wait.
    #[inline]
    pub fn served(&mut self) {
        self.excess = 0.0;
        self.backoff = 1;
    }

    /// Records the end of a wait.
    #[inline]
    pub fn record(&mut self, wait: Wait) {
        if wait.descriptors <= SMALL || self.forced != Engine::Auto {
            self.is_timed = false;
            // No instance is created whatever the cost, or at once, unless there were failures.
            if self.backoff > 1 {
                self.excess += 1.0;
            }
            return;
        }
        if self.until_sample == 1
            || self.is_outdated
            || wait.descriptors != self.descriptors as usize
            || !self.load.is_steady_at(wait)
        {
            return self.record_change(wait);
        }
        self.until_sample -= 1;
        if !wait.is_on_epoll {
            self.add_excess();
        }
    }

    #[inline]
    fn add_excess(&mut self) {
        self.excess = (self.excess + self.poll_prediction - self.epoll_prediction).max(0.0);
    }

    #[cold]
    fn record_change(&mut self, wait: Wait) {
        self.is_timed = false;
        self.load.add(wait);
        self.predict(wait.descriptors, self.fallbacks as usize);
        if !wait.is_on_epoll {
            self.add_excess();
        }
        self.until_sample -= 1;
        if self.until_sample == 0 {
            self.plan_sample(wait.has_epoll);
        }
    }

    /// No instance could be created, or not for all descriptors. The next attempt comes later.
    pub fn refused(&mut self) {
        self.excess = 0.0;
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        self.trial = 0;
        self.budget = 0.0;
    }

    /// Predicts the costs of the next wait.
    #[cold]
    fn predict(&mut self, descriptors: usize, fallbacks: usize) {
        self.descriptors = descriptors as u32;
        self.fallbacks = fallbacks as u32;
        self.is_outdated = false;
        let Load { ready, blocked, .. } = self.load;
        self.poll_prediction = self.poll.at(descriptors as f32, blocked);
        self.epoll_prediction = self.epoll.at(ready, blocked) + self.fallback_prediction();
        let threshold = if self.prefers_epoll { 1.0 / HYSTERESIS } else { HYSTERESIS };
        self.prefers_epoll =
            fallbacks < descriptors && self.epoll_prediction < threshold * self.poll_prediction;
    }

    /// poll(2) polls the fallbacks together with the instance.
    fn fallback_prediction(&self) -> f32 {
        match self.fallbacks {
            0 => 0.0,
            fallbacks => self.poll.at(fallbacks as f32, self.load.blocked),
        }
    }

    /// Decides whether the next wait is timed, or part of a trial.
    #[cold]
    fn plan_sample(&mut self, has_epoll: bool) {
        if self.trial > 0 {
            self.trial -= 1;
            self.is_timed = self.trial > 0;
            self.until_sample = if self.is_timed { 1 } else { self.interval };
            return;
        }
        let is_on_epoll = has_epoll && self.prefers_epoll;
        let [now, other] = if is_on_epoll {
            // poll(2) may have been timed when it was far dearer. It costs up to three times as much
            // to block.
            let compared = self.compared * (1.0 + 2.0 * self.load.blocked);
            let compared = compared * self.descriptors as f32;
            [self.epoll_prediction, self.poll_prediction.min(compared)]
        } else {
            [self.poll_prediction, self.epoll_prediction]
        };
        let share = if self.epoll.has_samples() { SHARE } else { FIRST_SHARE };
        self.budget += share * f32::from(self.interval) * now;
        self.interval = (2 * self.interval).min(MAX_INTERVAL);
        self.until_sample = self.interval;
        self.is_timed = true;
        self.until_trial = self.until_trial.saturating_sub(1);
        if self.until_trial == 0 && self.fallbacks < self.descriptors {
            self.plan_trial(now, other, is_on_epoll, has_epoll);
        }
    }

    /// Begins a trial of the other engine if its cost is within the limits.
    fn plan_trial(&mut self, now: f32, other: f32, is_on_epoll: bool, has_epoll: bool) {
        let mut price = f32::from(TRIAL) * (other - now).max(0.0);
        let mut max_ratio = MAX_RATIO;
        if !has_epoll {
            let instance = INSTANCE + self.entry.at(self.descriptors as f32);
            price += self.backoff as f32 * instance;
            max_ratio = MAX_RATIO_TO_CREATE;
        }
        if price > self.budget || other > max_ratio * now {
            return;
        }
        self.budget -= f32::from(TRIAL) * (other - now).max(0.0);
        self.trial = TRIAL;
        self.is_trial_on_epoll = !is_on_epoll;
        self.is_timed = false;
        self.until_sample = 1;
        self.until_trial = self.trial_gap;
        self.trial_gap = (2 * self.trial_gap).min(MAX_TRIAL_GAP);
    }
}

#[cfg(test)]
mod tests;
