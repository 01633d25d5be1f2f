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
//!   their price has been paid, and over several waits if they are many.
//! - *Trials.* The costs of the engine that isn't used may be wrong by now. So now and then it serves
//!   three waits. All trials together take about 1/64 of the cost of the waits (1/16 before epoll has
//!   been timed), and a wait of a trial at most 16 times as long as predicted for the other engine.
//!
//! So with a load that stays the same, waits cost at most about 7 % more than with the better engine,
//! once the samples are right.

mod cost;
mod load;
mod purchase;
mod trials;

use crate::engine::Pending;
use crate::registrations::SMALL;
use crate::settings::Engine;
use cost::{Cost, Costs};
use load::Load;
use purchase::Purchase;
use trials::{MAX_RATIO, Plan, Trials};

/// The costs until there are samples lie between those of an Intel Xeon and an AMD EPYC.
const POLL: Costs = Costs::assumed([200.0, 20.0], [2_000.0, 60.0]);
const EPOLL: Costs = Costs::assumed([300.0, 110.0], [2_000.0, 110.0]);

/// An engine is left if the other one costs less than this share.
const HYSTERESIS: f32 = 0.95;
/// To follow the average load must have been cheaper than either engine alone, by this factor, over
/// the last this many waits.
const FOLLOWING: f32 = 0.97;
const LONG_RUN: f32 = 128.0;

/// One wait in this many is timed.
const MAX_INTERVAL: u8 = 64;
/// The first one that is timed: a set that is polled a few times and dropped pays nothing for it.
const FIRST_SAMPLE: u8 = 2;

pub struct Policy {
    forced: Option<Engine>,
    poll: Costs,
    epoll: Costs,
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
    purchase: Purchase,
    trials: Trials,
    /// With epoll forced: the number of waits since an instance could not be created.
    waits_since_failure: u32,
    /// The predictions are older than the last sample.
    is_outdated: bool,
    /// Whether the calls of the next wait, or of this one, are timed.
    is_timed: bool,
    until_sample: u8,
    interval: u8,
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

impl Policy {
    pub const fn new(forced: Option<Engine>) -> Self {
        Self {
            forced: if cfg!(has_epoll) { forced } else { Some(Engine::Poll) },
            poll: POLL,
            epoll: EPOLL,
            compared_each: f32::INFINITY,
            load: Load::new(),
            descriptors: 0,
            fallbacks: 0,
            poll_prediction: 0.0,
            epoll_prediction: 0.0,
            follows_to_epoll: false,
            prefers_epoll: false,
            long_run: [0.0; 3],
            purchase: Purchase::new(),
            trials: Trials::new(),
            waits_since_failure: 0,
            is_outdated: false,
            is_timed: false,
            until_sample: FIRST_SAMPLE,
            interval: 1,
        }
    }

    /// Whether to create an epoll instance for this number of descriptors.
    #[inline]
    pub fn should_create(&self, descriptors: usize) -> bool {
        match self.forced {
            Some(Engine::Poll) => false,
            Some(Engine::Epoll) => {
                self.waits_since_failure.saturating_add(1) >= self.purchase.backoff()
            }
            None => descriptors > SMALL && self.can_pay_instance(descriptors),
        }
    }

    #[inline(never)]
    fn can_pay_instance(&self, descriptors: usize) -> bool {
        let price = self.purchase.instance_price(descriptors);
        if self.trials.is_running() {
            return self.trials.is_on_epoll() && self.trials.can_pay(price);
        }
        // The first sample may have been interrupted.
        self.poll.samples() >= 2 && self.is_paid(price)
    }

    fn is_paid(&self, price: f32) -> bool {
        self.purchase.is_paid(price, self.poll_prediction, self.advantage())
    }

    /// What the next wait is predicted to cost more on poll(2) than on epoll.
    #[inline]
    fn advantage(&self) -> f32 {
        self.poll_prediction - self.epoll_prediction
    }

    /// Begins a wait of a set with an instance.
    #[inline]
    pub fn begin(&mut self) {
        if self.trials.is_running() {
            self.begin_trial_wait();
        }
    }

    #[cold]
    fn begin_trial_wait(&mut self) {
        if let Some(is_timed) = self.trials.begin_wait() {
            self.is_timed = is_timed;
        }
    }

    /// Ends a trial, if there is one. Returns whether poll(2) was tried.
    pub fn end_trial(&mut self) -> bool {
        self.trials.end()
    }

    /// Whether to use the epoll instance, which has no entry for the `fallbacks`, and lacks the
    /// `pending` changes.
    #[inline]
    pub fn should_use(&mut self, descriptors: usize, fallbacks: usize, pending: Pending) -> bool {
        match self.forced {
            Some(Engine::Poll) => false,
            Some(Engine::Epoll) => true,
            None if descriptors <= SMALL => false,
            None => {
                if !self.trials.is_running()
                    && pending.is_empty()
                    && self.is_prediction_for(descriptors, fallbacks)
                {
                    return self.prefers_epoll;
                }
                self.weigh(descriptors, fallbacks, pending)
            }
        }
    }

    /// Whether to use it after entries were installed in this wait, which has `spent` nanoseconds on
    /// them. If not, others may be left to later waits.
    pub fn should_still_use(
        &mut self,
        descriptors: usize,
        fallbacks: usize,
        pending: Pending,
        spent: u64,
    ) -> bool {
        if self.forced.is_some() {
            return true;
        }
        let goes_on = self.weigh(descriptors, fallbacks, pending);
        if !Purchase::may_spend_more(spent as f32, self.poll_prediction) {
            self.trials.wait_again();
            return false;
        }
        goes_on
    }

    fn is_prediction_for(&self, descriptors: usize, fallbacks: usize) -> bool {
        (self.descriptors, self.fallbacks) == (descriptors as u32, fallbacks as u32)
    }

    #[cold]
    fn weigh(&mut self, descriptors: usize, fallbacks: usize, pending: Pending) -> bool {
        if !self.is_prediction_for(descriptors, fallbacks) {
            self.predict(descriptors, fallbacks);
        }
        let price = self.purchase.price(pending);
        if self.trials.is_on_epoll() {
            return self.trials.goes_on(price);
        }
        !self.trials.is_running()
            && self.prefers_epoll
            && (pending.is_empty() || self.is_paid(price))
    }

    /// How many of the pending entries to install at a time, in a wait that has `spent` nanoseconds on
    /// others.
    pub fn installable(&self, pending: Pending, spent: u64) -> usize {
        match self.forced {
            None => self.purchase.part(pending, spent as f32, self.poll_prediction),
            _ => pending.len(),
        }
    }

    /// Whether to time the installation of some entries.
    pub fn times_entries(&mut self, entries: usize) -> bool {
        self.forced.is_none() && self.purchase.times(entries, self.is_timed)
    }

    /// Records the processor time of installing some entries, and of how many the instance had none.
    pub fn record_entries(&mut self, entries: usize, added: usize, nanoseconds: u64) {
        if nanoseconds == 0 {
            return; // There is no such clock.
        }
        self.trials.pay(nanoseconds as f32);
        self.purchase.record(entries, added, nanoseconds as f32);
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
        self.trials.pay_for_wait(nanoseconds - self.prediction(!call.is_on_epoll));
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
        if is_first {
            // The waits before were as dear.
            let before = self.advantage();
            self.predict(descriptors, self.fallbacks as usize);
            self.purchase.correct(before, self.advantage());
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
        self.purchase.served();
    }

    /// Records the end of a wait.
    #[inline]
    pub fn record(&mut self, wait: Wait) {
        if wait.descriptors <= SMALL || self.forced.is_some() {
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
            self.purchase.pay(self.advantage());
        }
    }

    #[cold]
    fn record_change(&mut self, wait: Wait) {
        self.is_timed = false;
        self.add_to_long_run(wait);
        self.load.add(wait);
        self.predict(wait.descriptors, self.fallbacks as usize);
        if !wait.is_on_epoll {
            self.purchase.pay(self.advantage());
        }
        self.until_sample -= 1;
        if self.until_sample == 0 {
            self.plan_sample(wait);
        }
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
        self.purchase.refused();
        self.trials.refused();
        self.waits_since_failure = 0;
        self.forget_instance();
    }

    /// There is no instance any more.
    pub fn forget_instance(&mut self) {
        self.trials.end();
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
        let usual = self.prediction(wait.is_on_epoll);
        let has_samples = self.epoll.samples() > 0;
        self.trials.save(self.interval, usual, has_samples, wait.has_epoll);
        self.interval = (2 * self.interval).min(MAX_INTERVAL);
        self.until_sample = self.interval;
        self.is_timed = true;
        if self.trials.is_due() && self.fallbacks < self.descriptors {
            let plan = self.plan_trial(wait, usual);
            self.is_timed = !self.trials.try_begin(plan);
        }
    }

    /// A trial of the other engine.
    fn plan_trial(&self, wait: Wait, usual: f32) -> Plan {
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
        let price = || self.purchase.instance_price(self.descriptors as usize);
        let instance = (!wait.has_epoll).then(price);
        Plan { is_on_epoll: !wait.is_on_epoll, usual, other, instance }
    }
}

#[cfg(all(test, has_epoll))]
mod tests;
