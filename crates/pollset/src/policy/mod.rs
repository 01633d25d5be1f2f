//! The policy: decides which engine serves a wait.
//!
//! The cost of poll(2) grows with the registered descriptors, that of epoll with the ready ones. What
//! each costs depends on the processor, on the kinds of the descriptors, on the caches and on the
//! threads of the process. So the costs are learnt from the waits of the set:
//!
//! - *Samples.* One wait in 64 is timed, more at first, and more again after a sample that differed
//!   from the prediction by more than a quarter. Each sample corrects the costs of its engine
//!   ([`Cost`]). A call that may block is timed by the processor time of the thread, which takes
//!   longer to read, one that doesn't block by the clock.
//! - *Choice.* The engine changes when the other one is predicted to be at least 5 % cheaper. Both are
//!   predicted for the average of the last few waits: the number of ready descriptors, and how often
//!   a wait has blocked. If the load alternates so fast that the average is always late, the engine
//!   that is cheaper in the long run serves all waits.
//! - *Purchase.* To create and fill an instance has a price, and so has each addition to it: the
//!   ski-rental problem. Entries are installed when the waits on poll(2) since the last installation,
//!   the next one included, have cost as much more than with epoll as the installation costs. So it
//!   costs about twice as much as the best choice in hindsight, at most, and a set that is polled a
//!   few times and dropped never creates an instance. The price of an addition is not known before
//!   there was one: some entries are installed first, and the others in several parts, as long as
//!   their price has been paid.
//! - *Trials.* The costs of the engine that isn't used may be wrong by now. So now and then it serves
//!   three waits. All trials together take about 1/64 of the cost of the waits (1/16 before epoll has
//!   been timed), and a wait of a trial at most 16 times as long as predicted for the other engine.
//!
//! So with a load that stays the same, waits cost at most about 7 % more than with the better engine,
//! once the samples are right.

mod cost;

use crate::engine::Pending;
use crate::registrations::SMALL;
use crate::settings::Engine;
use cost::Cost;

/// The costs until there are samples lie between those of an Intel Xeon and an AMD EPYC.
const POLL: Costs = Costs::assumed([200.0, 20.0], [2_000.0, 60.0]);
const EPOLL: Costs = Costs::assumed([300.0, 110.0], [2_000.0, 110.0]);
/// The price of an instance, and of each addition to it and modification in it.
const INSTANCE: f32 = 1_000.0;
const ADDITION: f32 = 1_000.0;
const MODIFICATION: f32 = 300.0;
/// This many entries are installed first, when a quarter of the assumed price is paid. They show the
/// price of the others.
const FIRST_ENTRIES: usize = 16;
/// The others follow in parts that cost at most this share of the excess of the waits on poll(2).
const PART: f32 = 1.0 / 8.0;

/// An engine is left if the other one costs less than this share.
const HYSTERESIS: f32 = 0.95;
/// To follow the average load must have been cheaper than either engine alone, by this factor, over
/// the last this many waits.
const FOLLOWING: f32 = 0.97;
const LONG_RUN: f32 = 128.0;
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
/// a trial only if epoll is predicted to take at most this many times as long.
const MAX_RATIO: f32 = 16.0;
const MAX_RATIO_TO_CREATE: f32 = 2.5;
/// The waits between two trials: at first, and at most. Twice as many after each trial.
const FIRST_TRIAL_GAP: u16 = 64;
const MAX_TRIAL_GAP: u16 = 2_048;
/// No more waits are saved for trials than these would cost.
const MAX_BUDGET: f32 = 100.0;

pub struct Policy {
    forced: Engine,
    poll: Costs,
    epoll: Costs,
    /// Of additions to the instance.
    addition: Cost,
    /// Of modifications in it.
    modification: Cost,
    has_installed: bool,
    /// What poll(2) costs each descriptor, as the audit has measured it.
    compared_each: f32,
    load: Load,
    /// What the costs of the next wait were predicted for.
    descriptors: u32,
    fallbacks: u32,
    poll_prediction: f32,
    epoll_prediction: f32,
    /// Whether epoll is predicted to be cheaper for the average load.
    follows_to_epoll: bool,
    /// Whether waits that are not part of a trial use epoll.
    prefers_epoll: bool,
    /// Nanoseconds of the last [`LONG_RUN`] waits, as predicted: with poll(2), with epoll, and with the
    /// engine that was cheaper for the average load.
    long_run: [f32; 3],
    /// Nanoseconds by which the waits on poll(2) have been dearer than epoll would have been, since
    /// entries were installed.
    excess: f32,
    /// By what the price is multiplied, because instances could not be created.
    backoff: u32,
    /// With epoll forced: the number of waits since an instance could not be created.
    waits_since_failure: u32,
    /// The predictions are older than the last sample.
    is_outdated: bool,
    /// Whether the calls of the next wait, or of this one, are timed.
    is_timed: bool,
    until_sample: u8,
    interval: u8,
    /// Nanoseconds that trials may cost.
    budget: f32,
    /// The price of the pending entries, if it has put an end to the last trial.
    unpaid: f32,
    is_in_trial: bool,
    is_trial_on_epoll: bool,
    /// The waits of the trial that are to begin.
    trial_waits: u8,
    until_trial: u16,
    trial_gap: u16,
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

    fn by_kind(&mut self, blocks: bool) -> &mut Cost {
        if blocks { &mut self.block } else { &mut self.probe }
    }

    /// The number of samples of the kind that has more.
    fn samples(&self) -> u8 {
        self.probe.samples().max(self.block.samples())
    }

    fn predict(&self, descriptors: f32, blocked: f32) -> f32 {
        (1.0 - blocked) * self.probe.predict(descriptors)
            + blocked * self.block.predict(descriptors)
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
            addition: Cost::assumed(0.0, ADDITION),
            modification: Cost::assumed(0.0, MODIFICATION),
            has_installed: false,
            compared_each: f32::INFINITY,
            load: Load::new(),
            descriptors: 0,
            fallbacks: 0,
            poll_prediction: 0.0,
            epoll_prediction: 0.0,
            follows_to_epoll: false,
            prefers_epoll: false,
            long_run: [0.0; 3],
            excess: 0.0,
            backoff: 1,
            waits_since_failure: 0,
            is_outdated: false,
            is_timed: false,
            until_sample: FIRST_SAMPLE,
            interval: 1,
            budget: 0.0,
            unpaid: 0.0,
            is_in_trial: false,
            is_trial_on_epoll: false,
            trial_waits: 0,
            until_trial: 0,
            trial_gap: FIRST_TRIAL_GAP,
        }
    }

    /// Whether to create an epoll instance for this number of descriptors.
    #[inline]
    pub fn should_create(&self, descriptors: usize) -> bool {
        match self.forced {
            Engine::Poll => false,
            Engine::Epoll => self.waits_since_failure.saturating_add(1) >= self.backoff,
            Engine::Auto => descriptors > SMALL && self.can_pay_instance(descriptors),
        }
    }

    fn can_pay_instance(&self, descriptors: usize) -> bool {
        let price = self.instance_price(descriptors);
        if self.is_in_trial {
            return self.is_trial_on_epoll && price <= self.budget;
        }
        // The first sample may have been interrupted.
        self.poll.samples() >= 2 && self.can_pay(price)
    }

    fn instance_price(&self, descriptors: usize) -> f32 {
        self.backoff as f32 * (INSTANCE + self.additions_price(descriptors))
    }

    /// While the price of an addition is not known, a quarter: the first ones will show it.
    fn additions_price(&self, additions: usize) -> f32 {
        let least = additions.min(FIRST_ENTRIES);
        let is_known = self.addition.samples() > 0;
        self.addition.predict(if is_known { additions } else { least.max(additions / 4) } as f32)
    }

    /// Whether the waits on poll(2), including the next one, have cost more than with epoll by `price`.
    fn can_pay(&self, price: f32) -> bool {
        let advantage = self.poll_prediction - self.epoll_prediction;
        advantage > 0.0 && self.excess + advantage > price
    }

    /// Begins a wait of a set with an instance.
    #[inline]
    pub fn begin(&mut self) {
        if self.is_in_trial {
            self.begin_trial_wait();
        }
    }

    /// Also the waits that are abandoned count: no trial goes on longer.
    #[cold]
    fn begin_trial_wait(&mut self) {
        if self.trial_waits == 0 {
            self.is_in_trial = false;
            return;
        }
        self.trial_waits -= 1;
        self.is_timed = self.trial_waits + 1 < TRIAL;
    }

    /// Ends a trial, if there is one. Returns whether poll(2) was tried.
    pub fn end_trial(&mut self) -> bool {
        let was_on_poll = self.is_in_trial && !self.is_trial_on_epoll;
        self.is_in_trial = false;
        was_on_poll
    }

    /// Whether to use the epoll instance, which has no entry for the `fallbacks`, and lacks the
    /// `pending` changes.
    #[inline]
    pub fn should_use(&mut self, descriptors: usize, fallbacks: usize, pending: Pending) -> bool {
        match self.forced {
            Engine::Poll => false,
            Engine::Epoll => true,
            Engine::Auto if descriptors <= SMALL => false,
            Engine::Auto => {
                if !self.is_in_trial
                    && pending.is_empty()
                    && self.is_prediction_for(descriptors, fallbacks)
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
    fn weigh(&mut self, descriptors: usize, fallbacks: usize, pending: Pending) -> bool {
        if !self.is_prediction_for(descriptors, fallbacks) {
            self.predict(descriptors, fallbacks);
        }
        if self.is_in_trial && self.is_trial_on_epoll {
            let price = self.price(pending);
            self.is_in_trial = price <= self.budget;
            self.unpaid = if self.is_in_trial { 0.0 } else { price };
            return self.is_in_trial;
        }
        !self.is_in_trial
            && self.prefers_epoll
            && (pending.is_empty() || self.can_pay(self.price(pending)))
    }

    fn price(&self, pending: Pending) -> f32 {
        self.additions_price(pending.additions)
            + self.modification.predict(pending.modifications as f32)
    }

    /// How many of the pending entries to install at a time.
    pub fn installable(&self, pending: Pending) -> usize {
        let all = pending.len();
        if self.forced != Engine::Auto || all <= FIRST_ENTRIES {
            return all;
        }
        let paid = PART * self.excess / self.addition.predict(1.0);
        all.min((paid as usize).max(FIRST_ENTRIES))
    }

    /// Whether to time the installation of some entries. The first time, code and memory are not in
    /// the caches.
    pub fn times_entries(&mut self, entries: usize) -> bool {
        let is_first = !std::mem::replace(&mut self.has_installed, true);
        self.forced == Engine::Auto && !is_first && (self.is_timed || entries >= FIRST_ENTRIES)
    }

    /// Records the processor time of installing some entries, and of how many the instance had none.
    pub fn record_entries(&mut self, entries: usize, added: usize, nanoseconds: u64) {
        if nanoseconds == 0 {
            return; // There is no such clock.
        }
        if self.is_in_trial {
            self.budget -= nanoseconds as f32;
        }
        let (number, nanoseconds) = (entries as f32, nanoseconds as f32);
        if added == entries && entries >= FIRST_ENTRIES {
            self.addition.replace(number, nanoseconds);
        } else if added == entries {
            self.addition.learn(number, nanoseconds);
        } else if added == 0 {
            self.modification.learn(number, nanoseconds);
        }
    }

    /// Whether the calls of this wait are timed.
    #[inline]
    pub fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// Records the time of a call for this number of descriptors, which has found `ready` ones.
    pub fn record_call(&mut self, call: Call, descriptors: usize, ready: usize, nanoseconds: u64) {
        if nanoseconds == 0 {
            return; // There is no such clock.
        }
        let nanoseconds = nanoseconds as f32;
        if self.is_in_trial {
            // For itself, and half of the first wait, which isn't timed.
            let usual = self.prediction(!call.is_on_epoll);
            self.budget -= 1.5 * (nanoseconds - usual).max(0.0);
        }
        let is_first = self.poll.samples() < 2;
        let is_off = if call.is_on_epoll {
            // A part is epoll's, however much the fallbacks were predicted to take.
            let fallbacks = self.fallbacks_cost(f32::from(u8::from(call.blocks)));
            let own = (nanoseconds - fallbacks).max(nanoseconds / 8.0);
            self.epoll.by_kind(call.blocks).learn(ready as f32, own)
        } else {
            let poll = self.poll.by_kind(call.blocks);
            let is_off = poll.learn(descriptors as f32, nanoseconds);
            let assumed = if call.blocks { &EPOLL.block } else { &EPOLL.probe };
            self.epoll.by_kind(call.blocks).assume(assumed, poll);
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
        self.compared_each = nanoseconds as f32;
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
            // No instance is created whatever the cost, or at once, unless there were failures.
            self.is_timed = false;
            self.waits_since_failure = self.waits_since_failure.saturating_add(1);
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

    #[cold]
    fn record_change(&mut self, wait: Wait) {
        self.is_timed = false;
        self.add_to_long_run(wait);
        self.load.add(wait);
        self.predict(wait.descriptors, self.fallbacks as usize);
        if !wait.is_on_epoll {
            self.add_excess();
        }
        self.until_sample -= 1;
        if self.until_sample == 0 {
            self.plan_sample(wait);
        }
    }

    #[inline]
    fn add_excess(&mut self) {
        self.excess = (self.excess + self.poll_prediction - self.epoll_prediction).max(0.0);
    }

    fn add_to_long_run(&mut self, wait: Wait) {
        let blocked = f32::from(u8::from(wait.has_blocked));
        let poll = self.poll.predict(wait.descriptors as f32, blocked);
        let epoll = self.epoll.predict(wait.ready as f32, blocked) + self.fallbacks_cost(blocked);
        let followed = if self.follows_to_epoll { epoll } else { poll };
        for (sum, cost) in self.long_run.iter_mut().zip([poll, epoll, followed]) {
            *sum += cost - *sum / LONG_RUN;
        }
    }

    /// No instance could be created, or not for all descriptors. The next attempt comes later.
    pub fn refused(&mut self) {
        self.excess = 0.0;
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        self.waits_since_failure = 0;
        self.budget = 0.0;
        self.forget_instance();
    }

    /// There is no instance any more.
    pub fn forget_instance(&mut self) {
        self.is_in_trial = false;
        self.fallbacks = 0;
        self.is_outdated = true;
    }

    /// Predicts the costs of the next wait.
    #[cold]
    fn predict(&mut self, descriptors: usize, fallbacks: usize) {
        self.descriptors = descriptors as u32;
        self.fallbacks = fallbacks as u32;
        self.is_outdated = false;
        let Load { ready, blocked, is_steady, .. } = self.load;
        self.poll_prediction = self.poll.predict(descriptors as f32, blocked);
        self.epoll_prediction = self.epoll.predict(ready, blocked) + self.fallbacks_cost(blocked);
        let has_entries = fallbacks < descriptors;
        let is_cheaper = |epoll: f32, poll: f32, is_on_epoll: bool| {
            let threshold = if is_on_epoll { 1.0 / HYSTERESIS } else { HYSTERESIS };
            has_entries && epoll < threshold * poll
        };
        self.follows_to_epoll =
            is_cheaper(self.epoll_prediction, self.poll_prediction, self.follows_to_epoll);
        let [poll, epoll, followed] = self.long_run;
        self.prefers_epoll = if is_steady || followed < FOLLOWING * poll.min(epoll) {
            self.follows_to_epoll
        } else {
            is_cheaper(epoll, poll, self.prefers_epoll)
        };
    }

    /// poll(2) polls the fallbacks together with the instance.
    fn fallbacks_cost(&self, blocked: f32) -> f32 {
        match self.fallbacks {
            0 => 0.0,
            fallbacks => self.poll.predict(fallbacks as f32, blocked),
        }
    }

    fn prediction(&self, is_on_epoll: bool) -> f32 {
        if is_on_epoll { self.epoll_prediction } else { self.poll_prediction }
    }

    /// Decides whether the next wait is timed, or the first of a trial.
    fn plan_sample(&mut self, wait: Wait) {
        if !wait.has_epoll {
            self.is_in_trial = false; // no instance could be paid for it
        }
        let usual = self.prediction(wait.is_on_epoll);
        let share = if self.epoll.samples() > 0 { SHARE } else { FIRST_SHARE };
        self.budget += share * f32::from(self.interval) * usual;
        if wait.has_epoll {
            self.budget = self.budget.min(MAX_BUDGET * usual + 2.0 * self.unpaid);
        }
        self.until_trial = self.until_trial.saturating_sub(self.interval.into());
        self.interval = (2 * self.interval).min(MAX_INTERVAL);
        self.until_sample = self.interval;
        self.is_timed = true;
        if !self.is_in_trial && self.until_trial == 0 && self.fallbacks < self.descriptors {
            self.plan_trial(wait, usual);
        }
    }

    /// Begins a trial of the other engine if its cost is within the limits.
    fn plan_trial(&mut self, wait: Wait, usual: f32) {
        let mut other = self.prediction(!wait.is_on_epoll);
        if wait.is_on_epoll {
            // poll(2) may have been timed when it was far dearer. It costs up to three times as much
            // to block.
            let compared = self.compared_each * (1.0 + 2.0 * self.load.blocked);
            other = other.min(compared * self.descriptors as f32);
        } else if wait.has_epoll && self.epoll.samples() < Cost::MEMORY {
            // The few samples may have been interrupted.
            other = other.min(MAX_RATIO * usual);
        }
        let mut price = f32::from(TRIAL) * (other - usual).max(0.0);
        let mut max_ratio = MAX_RATIO;
        if !wait.has_epoll {
            price += self.instance_price(self.descriptors as usize);
            max_ratio = MAX_RATIO_TO_CREATE;
        }
        if price > self.budget || other > max_ratio * usual {
            return;
        }
        self.is_in_trial = true;
        self.is_trial_on_epoll = !wait.is_on_epoll;
        self.trial_waits = TRIAL;
        self.is_timed = false;
        self.until_trial = self.trial_gap;
        self.trial_gap = (2 * self.trial_gap).min(MAX_TRIAL_GAP);
    }
}

#[cfg(all(test, has_epoll))]
mod tests;
