//! Rare and bounded trials of the engine that isn't used: what is known of its costs may be wrong.

/// The waits of a trial. The first one is not timed: its memory isn't in the caches.
const TRIAL: u8 = 3;
/// The share of the cost of the waits that trials may take, before epoll has samples and after.
const FIRST_SHARE: f32 = 1.0 / 16.0;
const SHARE: f32 = 1.0 / 64.0;
/// A wait of a trial takes at most this many times as long, as predicted. An instance is created for
/// a trial only if epoll is predicted to take at most this many times as long.
pub const MAX_RATIO: f32 = 16.0;
const MAX_RATIO_TO_CREATE: f32 = 2.5;
/// The waits between two trials: at first, and at most. Twice as many after each trial.
const FIRST_GAP: u16 = 64;
const MAX_GAP: u16 = 2_048;
/// No more waits are saved for trials than these would cost.
const MAX_BUDGET: f32 = 100.0;

pub struct Trials {
    /// Nanoseconds that trials may cost.
    budget: f32,
    /// The price of the pending entries, if it has put an end to the last trial.
    unpaid: f32,
    is_running: bool,
    is_on_epoll: bool,
    /// The waits of the trial that are to begin.
    waits: u8,
    until_next: u16,
    gap: u16,
}

/// A trial that may begin. Costs are nanoseconds of a wait, as predicted.
pub struct Plan {
    pub is_on_epoll: bool,
    /// With the engine in use, and with the other one.
    pub usual: f32,
    pub other: f32,
    /// What an instance would cost, if there is none.
    pub instance: Option<f32>,
}

impl Trials {
    pub const fn new() -> Self {
        Self {
            budget: 0.0,
            unpaid: 0.0,
            is_running: false,
            is_on_epoll: false,
            waits: 0,
            until_next: 0,
            gap: FIRST_GAP,
        }
    }

    #[inline]
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    pub fn is_on_epoll(&self) -> bool {
        self.is_running && self.is_on_epoll
    }

    /// Begins a wait of a trial, and returns whether it is timed; or ends the trial. Also the waits that
    /// are abandoned count: no trial goes on longer.
    pub fn begin_wait(&mut self) -> Option<bool> {
        if self.waits == 0 {
            self.is_running = false;
            return None;
        }
        self.waits -= 1;
        Some(self.waits + 1 < TRIAL)
    }

    /// The wait has only added entries: it doesn't count.
    pub fn wait_again(&mut self) {
        if self.is_on_epoll() {
            self.waits = (self.waits + 1).min(TRIAL);
        }
    }

    /// Ends a trial, if there is one. Returns whether poll(2) was tried.
    pub fn end(&mut self) -> bool {
        let was_on_poll = self.is_running && !self.is_on_epoll;
        self.is_running = false;
        was_on_poll
    }

    /// Whether the trials may cost this.
    pub fn can_pay(&self, price: f32) -> bool {
        price <= self.budget
    }

    /// Whether the trial on epoll goes on, with pending entries of this price.
    pub fn goes_on(&mut self, price: f32) -> bool {
        self.is_running = self.can_pay(price);
        self.unpaid = price;
        self.is_running
    }

    /// A running trial has cost this.
    pub fn pay(&mut self, nanoseconds: f32) {
        if self.is_running {
            self.budget -= nanoseconds;
        }
    }

    /// A wait of a trial, which was timed, has cost more than `usual` by this. So has a half of the first
    /// wait, which isn't timed.
    pub fn pay_for_wait(&mut self, excess: f32) {
        self.pay(1.5 * excess.max(0.0));
    }

    /// This many waits have passed, which were predicted to cost `usual` each.
    pub fn save(&mut self, waits: u8, usual: f32, has_samples: bool, has_epoll: bool) {
        if !has_epoll {
            self.is_running = false; // no instance could be paid for it
        }
        let share = if has_samples { SHARE } else { FIRST_SHARE };
        self.budget += share * f32::from(waits) * usual;
        if has_epoll {
            self.budget = self.budget.min(MAX_BUDGET * usual + 2.0 * self.unpaid);
        }
        self.until_next = self.until_next.saturating_sub(waits.into());
    }

    pub fn is_due(&self) -> bool {
        !self.is_running && self.until_next == 0
    }

    /// Begins a trial if its cost is within the limits. Returns whether it does.
    pub fn try_begin(&mut self, plan: Plan) -> bool {
        let Plan { is_on_epoll, usual, other, instance } = plan;
        let max_ratio = if instance.is_some() { MAX_RATIO_TO_CREATE } else { MAX_RATIO };
        let price = f32::from(TRIAL) * (other - usual).max(0.0) + instance.unwrap_or(0.0);
        if price > self.budget || other > max_ratio * usual {
            return false;
        }
        self.is_running = true;
        self.is_on_epoll = is_on_epoll;
        self.waits = TRIAL;
        self.until_next = self.gap;
        self.gap = (2 * self.gap).min(MAX_GAP);
        true
    }

    /// No instance could be created.
    pub fn refused(&mut self) {
        self.budget = 0.0;
        self.is_running = false;
    }
}
