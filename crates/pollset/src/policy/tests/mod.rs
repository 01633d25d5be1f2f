//! The policy on simulated machines: no clock, no system call.

mod choice;
mod learning;
mod purchase;

use super::*;

/// Nanoseconds of the calls, without noise.
#[derive(Clone, Copy, Debug)]
struct Machine {
    /// A poll(2) that doesn't block, and one that may: fixed, and for each registered descriptor.
    poll: [(f64, f64); 2],
    /// The same of epoll, for each ready descriptor.
    epoll: [(f64, f64); 2],
    /// An addition.
    entry: f64,
}

const INTEL: Machine = Machine {
    poll: [(150.0, 15.0), (1_500.0, 60.0)],
    epoll: [(200.0, 75.0), (1_600.0, 75.0)],
    entry: 600.0,
};
const AMD: Machine = Machine {
    poll: [(260.0, 25.0), (3_000.0, 75.0)],
    epoll: [(400.0, 130.0), (3_000.0, 140.0)],
    entry: 1_300.0,
};
const SLOW_AMD: Machine = Machine {
    poll: [(480.0, 97.0), (5_000.0, 250.0)],
    epoll: [(690.0, 190.0), (5_000.0, 200.0)],
    entry: 2_500.0,
};
/// Thousands of sockets that are in no cache.
const COLD: Machine = Machine {
    poll: [(500.0, 700.0), (5_000.0, 1_500.0)],
    epoll: [(700.0, 400.0), (5_000.0, 500.0)],
    entry: 3_000.0,
};
/// Anonymous files, which are cheap to poll and dear to add.
const EVENTFDS: Machine = Machine { entry: 6_000.0, ..AMD };
/// Files of FUSE: each call polls them in another process. (In fact they are fallbacks.)
const SLOW_FILES: Machine = Machine {
    poll: [(500.0, 10_000.0), (5_000.0, 20_000.0)],
    epoll: [(700.0, 10_000.0), (5_000.0, 11_000.0)],
    entry: 20_000.0,
};
const MACHINES: [Machine; 6] = [INTEL, AMD, SLOW_AMD, COLD, EVENTFDS, SLOW_FILES];

impl Machine {
    fn call(&self, is_on_epoll: bool, load: Waits) -> f64 {
        let (costs, descriptors) =
            if is_on_epoll { (self.epoll, load.ready) } else { (self.poll, load.descriptors) };
        let (fixed, each) = costs[usize::from(load.blocked)];
        fixed + each * descriptors as f64
    }

    fn better_call(&self, load: Waits) -> f64 {
        self.call(true, load).min(self.call(false, load))
    }
}

const NOTHING: Pending = Pending { additions: 0, modifications: 0 };
const ADDITIONS: Pending = Pending { additions: 9_000, modifications: 0 };

/// Waits that are alike.
#[derive(Clone, Copy, Debug)]
struct Waits {
    descriptors: usize,
    ready: usize,
    blocked: bool,
}

/// A set on a machine.
struct Set {
    policy: Policy,
    has_epoll: bool,
    pending: Pending,
    fallbacks: usize,
    /// By how much the next calls take longer.
    noise: Box<dyn FnMut() -> f64>,
    timed: u64,
    switches: u64,
    was_on_epoll: bool,
}

impl Set {
    fn new() -> Self {
        Self {
            policy: Policy::new(None),
            has_epoll: false,
            pending: NOTHING,
            fallbacks: 0,
            noise: Box::new(|| 1.0),
            timed: 0,
            switches: 0,
            was_on_epoll: false,
        }
    }

    /// Makes a wait, as `Engines` does. Returns its cost.
    fn wait(&mut self, machine: &Machine, load: Waits) -> f64 {
        let (cost, is_on_epoll) = self.begin(machine, load);
        self.end(machine, load, is_on_epoll);
        cost
    }

    fn begin(&mut self, machine: &Machine, load: Waits) -> (f64, bool) {
        let policy = &mut self.policy;
        let mut cost = 0.0;
        if !self.has_epoll && policy.should_create(load.descriptors) {
            self.has_epoll = true;
            self.pending.additions = load.descriptors;
            cost += 1_000.0;
        }
        if self.has_epoll {
            policy.begin();
        }
        let mut is_on_epoll =
            self.has_epoll && policy.should_use(load.descriptors, self.fallbacks, self.pending);
        let mut spent = 0;
        while is_on_epoll && !self.pending.is_empty() {
            let entries = policy.installable(self.pending, spent);
            let added = entries.min(self.pending.additions);
            let time = machine.entry * added as f64 + 300.0 * (entries - added) as f64;
            if policy.times_entries(entries) {
                policy.record_entries(entries, added, time as u64);
                spent += time as u64;
            }
            cost += time;
            self.pending.additions -= added;
            self.pending.modifications -= entries - added;
            is_on_epoll = self.pending.is_empty()
                || policy.should_still_use(load.descriptors, self.fallbacks, self.pending, spent);
        }
        let mut time = machine.call(is_on_epoll, load) * (self.noise)();
        if is_on_epoll && self.fallbacks > 0 {
            time += machine.call(false, Waits { descriptors: self.fallbacks, ..load });
        }
        cost += time;
        if policy.is_timed() {
            self.timed += 1;
            let call = Call { is_on_epoll, blocks: load.blocked };
            policy.record_call(call, load.descriptors, load.ready, time as u64);
        }
        (cost, is_on_epoll)
    }

    fn end(&mut self, machine: &Machine, load: Waits, is_on_epoll: bool) {
        if is_on_epoll {
            self.policy.served();
            self.policy.record_compared((30.0 + machine.poll[0].1) as u64);
        }
        self.policy.record(Wait {
            descriptors: load.descriptors,
            ready: load.ready,
            has_blocked: load.blocked,
            is_on_epoll,
            has_epoll: self.has_epoll,
        });
        self.switches += u64::from(is_on_epoll != self.was_on_epoll);
        self.was_on_epoll = is_on_epoll;
    }

    fn waits(&mut self, machine: &Machine, load: Waits, count: usize) -> f64 {
        (0..count).map(|_| self.wait(machine, load)).sum()
    }
}

fn loads() -> Vec<Waits> {
    let mut loads = Vec::new();
    for descriptors in [9, 16, 32, 64, 128, 256, 1_000, 4_000, 9_000] {
        let mut readies: Vec<_> =
            [5, 10, 20, 25, 30, 50, 75, 100].map(|share| descriptors * share / 100).into();
        readies.extend([0, 1]);
        for ready in readies {
            loads.extend([false, true].map(|blocked| Waits { descriptors, ready, blocked }));
        }
    }
    loads
}

fn load(descriptors: usize, ready: usize) -> Waits {
    Waits { descriptors, ready, blocked: false }
}

fn poll_wait(descriptors: usize, ready: usize) -> Wait {
    Wait { descriptors, ready, has_blocked: false, is_on_epoll: false, has_epoll: false }
}
