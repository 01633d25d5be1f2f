//! The policy on simulated machines: no clock, no system call.

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
            policy: Policy::new(Engine::Auto),
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
        let is_on_epoll = loop {
            let uses_epoll =
                self.has_epoll && policy.should_use(load.descriptors, self.fallbacks, self.pending);
            if !uses_epoll || self.pending.is_empty() {
                break uses_epoll;
            }
            let entries = policy.installable(self.pending);
            let added = entries.min(self.pending.additions);
            let time = machine.entry * added as f64 + 300.0 * (entries - added) as f64;
            if policy.times_entries(entries) {
                policy.record_entries(entries, added, time as u64);
            }
            cost += time;
            self.pending.additions -= added;
            self.pending.modifications -= entries - added;
        };
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

#[test]
fn after_1_000_waits_the_better_engine_serves() {
    for machine in MACHINES {
        for load in loads() {
            let mut set = Set::new();
            set.waits(&machine, load, 1_000);
            let mean = set.waits(&machine, load, 10_000) / 10_000.0;
            let best = machine.better_call(load);
            let is_good = mean < 1.1 * best || mean < best + 40.0;
            assert!(is_good, "{mean} in place of {best}: {load:?} on {machine:?}");
        }
    }
}

#[test]
fn cost_is_never_much_more_than_twice_the_best_in_hindsight() {
    for machine in MACHINES {
        for load in loads() {
            let (mut set, mut cost) = (Set::new(), 0.0);
            for waits in 1..3_000 {
                cost += set.wait(&machine, load);
                let on_poll = f64::from(waits) * machine.call(false, load);
                let price = 1_000.0 + machine.entry * load.descriptors as f64;
                let on_epoll = price + f64::from(waits) * machine.call(true, load);
                let best = on_poll.min(on_epoll);
                assert!(
                    cost < 2.3 * best + 6.0 * machine.call(false, load) + 32.0 * machine.entry,
                    "{cost} in place of {best} after {waits}: {load:?} on {machine:?}"
                );
            }
        }
    }
}

#[test]
fn set_that_is_polled_a_few_times_is_neither_timed_nor_given_an_instance() {
    for machine in MACHINES {
        for descriptors in [1, 8, 9, 64, 1_000, 9_000] {
            let mut set = Set::new();
            set.waits(&machine, load(descriptors, 0), 1);
            assert!(!set.has_epoll);
            set.wait(&machine, load(descriptors, 0));
            assert_eq!(set.timed, 0);
        }
    }
}

#[test]
fn small_set_is_never_timed_nor_given_an_instance() {
    let mut set = Set::new();
    set.waits(&SLOW_AMD, load(8, 0), 100_000);
    assert_eq!((set.timed, set.has_epoll), (0, false));
}

#[test]
fn set_that_has_become_small_is_not_timed() {
    for waits in 0..200 {
        let mut set = Set::new();
        set.waits(&AMD, load(9, 1), waits);
        set.wait(&AMD, load(8, 1));
        set.timed = 0;
        set.waits(&AMD, load(8, 1), 100);
        assert!(set.timed <= 2, "{} timed", set.timed);
    }
}

#[test]
fn a_context_switch_makes_no_engine_cheaper() {
    // Blocking takes 3 µs, more than assumed.
    let mut set = Set::new();
    set.waits(&AMD, Waits { descriptors: 9, ready: 9, blocked: true }, 30);
    assert!(!set.has_epoll);
}

#[test]
fn few_waits_are_timed_and_fewer_are_trials() {
    for machine in MACHINES {
        for load in loads() {
            let mut set = Set::new();
            set.waits(&machine, load, 2_000);
            (set.timed, set.switches) = (0, 0);
            set.waits(&machine, load, 16_000);
            assert!(set.timed <= 280, "{} timed: {load:?} on {machine:?}", set.timed);
            assert!(set.switches <= 24, "{} switches: {load:?} on {machine:?}", set.switches);
        }
    }
}

#[test]
fn no_trial_takes_much_longer_than_the_wait_that_it_replaces() {
    for machine in MACHINES {
        for load in loads() {
            let mut set = Set::new();
            set.waits(&machine, load, 1_000);
            let best = machine.better_call(load);
            for _ in 0..20_000 {
                let had_epoll = set.pending.is_empty() && set.has_epoll;
                let cost = set.wait(&machine, load);
                assert!(cost < 20.0 * best || !had_epoll, "{cost} in place of {best}: {load:?}");
            }
        }
    }
}

#[test]
fn loads_that_change_cost_little_more_than_with_the_better_engine_for_each() {
    for machine in MACHINES {
        for descriptors in [16, 64, 1_000, 9_000] {
            for busy in [descriptors / 2, descriptors] {
                for length in [100, 1_000] {
                    let mut set = Set::new();
                    let phases = [load(descriptors, 1), load(descriptors, busy)];
                    let (mut cost, mut best) = (0.0, 0.0);
                    for round in 0..10 {
                        for phase in phases {
                            // Both phases take as long.
                            let waits = length as f64 * machine.better_call(phases[1])
                                / machine.better_call(phase);
                            let waits = (waits as usize).clamp(20, 20_000);
                            let this = set.waits(&machine, phase, waits);
                            if round >= 2 {
                                cost += this;
                                best += waits as f64 * machine.better_call(phase);
                            }
                        }
                    }
                    let regret = cost / best;
                    assert!(
                        regret < 1.25,
                        "{regret}: {descriptors}, {busy}, {length}, {machine:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn costs_that_change_are_noticed() {
    for (before, after) in [(COLD, INTEL), (INTEL, COLD), (INTEL, SLOW_AMD), (SLOW_AMD, INTEL)] {
        for load in loads() {
            let mut set = Set::new();
            set.waits(&before, load, 10_000);
            set.waits(&after, load, 20_000);
            let mean = set.waits(&after, load, 10_000) / 10_000.0;
            let best = after.better_call(load);
            let is_good = mean < 1.1 * best || mean < best + 40.0;
            assert!(is_good, "{mean} in place of {best}: {load:?} on {after:?} after {before:?}");
        }
    }
}

/// Most calls take up to a fifth more or less, and one in 30 is interrupted.
#[test]
fn noise_changes_little() {
    for machine in MACHINES {
        for load in loads() {
            let mut set = Set::new();
            let mut random = 1_u64;
            set.noise = Box::new(move || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let random = random >> 33;
                let long = if random.is_multiple_of(30) { 10.0 } else { 0.0 };
                0.8 + 0.4 * (random % 1_000) as f64 / 1_000.0 + long
            });
            set.waits(&machine, load, 1_000);
            let mean = set.waits(&machine, load, 20_000) / 20_000.0;
            let best = 1.333 * machine.better_call(load);
            let is_good = mean < 1.15 * best || mean < best + 40.0;
            assert!(is_good, "{mean} in place of {best}: {load:?} on {machine:?}");
        }
    }
}

#[test]
fn an_average_of_ready_descriptors_decides() {
    // One wait of ten finds all of 64 ready: epoll is cheaper on the average.
    let mut set = Set::new();
    for wait in 0..10_000 {
        set.wait(&INTEL, load(64, if wait % 10 == 0 { 64 } else { 1 }));
    }
    set.switches = 0;
    let mut cost = 0.0;
    for wait in 0..10_000 {
        cost += set.wait(&INTEL, load(64, if wait % 10 == 0 { 64 } else { 1 }));
    }
    let on_epoll =
        9_000.0 * INTEL.call(true, load(64, 1)) + 1_000.0 * INTEL.call(true, load(64, 64));
    assert!(cost < 1.25 * on_epoll, "{cost} in place of {on_epoll}");
}

#[test]
fn changes_are_installed_when_that_pays() {
    let mut set = Set::new();
    set.waits(&AMD, load(16, 1), 1_000);
    assert!(set.has_epoll && set.was_on_epoll);
    // A new descriptor before each wait costs more than poll(2) of 16.
    let mut on_epoll = 0;
    for _ in 0..1_000 {
        set.pending.additions += 1;
        set.wait(&AMD, load(16, 1));
        on_epoll += u32::from(set.was_on_epoll);
    }
    assert!(on_epoll < 250, "{on_epoll}");
    // And less than poll(2) of 1,000.
    let mut set = Set::new();
    set.waits(&AMD, load(1_000, 1), 1_000);
    for _ in 0..100 {
        set.pending.additions += 1;
        set.wait(&AMD, load(1_000, 1));
        assert!(set.was_on_epoll);
    }
    // Of nine, 9,000 more come at once.
    let mut set = Set::new();
    set.waits(&AMD, load(9, 1), 10_000);
    set.pending.additions += 9_000;
    set.wait(&AMD, load(9_009, 1));
    assert!(!set.was_on_epoll);
    set.waits(&AMD, load(9_009, 1), 200);
    assert!(set.was_on_epoll && set.pending.is_empty());
}

#[test]
fn entries_that_are_dear_are_added_later() {
    let waits = |machine: Machine| {
        let mut set = Set::new();
        (0..).find(|_| {
            set.wait(&machine, load(1_000, 1));
            set.was_on_epoll
        })
    };
    assert!(waits(EVENTFDS).unwrap() > 3 * waits(AMD).unwrap());
}

#[test]
fn fallbacks_cost_a_poll_beside_epoll() {
    for (fallbacks, uses_epoll) in [(0, true), (1, true), (500, true), (1_000, false)] {
        let mut policy = Policy::new(Engine::Auto);
        policy.record(poll_wait(1_000, 1));
        assert_eq!(policy.should_use(1_000, fallbacks, NOTHING), uses_epoll, "{fallbacks}");
    }
}

#[test]
fn after_each_failure_the_next_attempt_comes_later() {
    let mut policy = Policy::new(Engine::Epoll);
    assert!(policy.should_create(1));
    policy.refused();
    let waits = |policy: &mut Policy| {
        let mut waits = 0;
        while !policy.should_create(1) {
            policy.record(poll_wait(1, 0));
            waits += 1;
        }
        waits
    };
    assert_eq!(waits(&mut policy), 1);
    policy.refused();
    assert_eq!(waits(&mut policy), 3);
    policy.refused();
    policy.served();
    assert!(policy.should_create(1));
}

#[test]
fn after_a_failure_an_automatic_set_pays_a_higher_price() {
    let waits = |failures| {
        let mut set = Set::new();
        (0..failures).for_each(|_| set.policy.refused());
        (0..).find(|_| {
            set.wait(&AMD, load(1_000, 1));
            set.has_epoll
        })
    };
    assert!(waits(3).unwrap() > 6 * waits(0).unwrap());
}

#[test]
fn a_forced_engine_is_the_engine() {
    assert!(!Policy::new(Engine::Poll).should_use(20_000, 0, NOTHING));
    assert!(!Policy::new(Engine::Poll).should_create(20_000));
    assert!(Policy::new(Engine::Epoll).should_use(1, 0, ADDITIONS));
    assert_eq!(Policy::new(Engine::Epoll).installable(ADDITIONS), 9_000);
}

/// A call that is interrupted or preempted takes up to a millisecond, whichever call it is.
#[test]
fn a_first_sample_that_is_far_off_is_corrected() {
    for machine in [INTEL, AMD, SLOW_AMD] {
        for load in loads() {
            for is_on_epoll in [false, true] {
                let mut set = Set::new();
                let is_first = |set: &Set| set.policy.is_timed && set.was_on_epoll == is_on_epoll;
                let mut waits = 0;
                while !is_first(&set) && waits < 5_000 {
                    set.wait(&machine, load);
                    waits += 1;
                }
                let mut noise = Some(1e6 / machine.call(is_on_epoll, load) + 1.0);
                set.noise = Box::new(move || noise.take().unwrap_or(1.0));
                set.waits(&machine, load, 20_000);
                let mean = set.waits(&machine, load, 10_000) / 10_000.0;
                let best = machine.better_call(load);
                let is_good = mean < 1.1 * best || mean < best + 40.0;
                assert!(is_good, "{mean} in place of {best}: {load:?} on {machine:?}");
            }
        }
    }
}

#[test]
fn loads_that_alternate_fast_cost_little_more_than_with_the_better_engine_for_all() {
    for machine in [INTEL, AMD, SLOW_AMD] {
        for descriptors in [16, 64, 256, 1_000, 9_000] {
            for busy in [descriptors / 4, descriptors / 2, descriptors] {
                for [idle_waits, busy_waits] in
                    [[1, 1], [2, 2], [3, 1], [4, 2], [8, 4], [16, 2], [16, 16], [2, 6]]
                {
                    let phases = [load(descriptors, 1), load(descriptors, busy)];
                    let counts = [idle_waits, busy_waits];
                    let mut set = Set::new();
                    let mut cost = 0.0;
                    for round in 0..2_000 {
                        for (phase, count) in phases.into_iter().zip(counts) {
                            let this = set.waits(&machine, phase, count);
                            cost += if round >= 1_000 { this } else { 0.0 };
                        }
                    }
                    let [on_poll, on_epoll] = [false, true].map(|is_on_epoll| {
                        let costs = phases.map(|phase| machine.call(is_on_epoll, phase));
                        1_000.0 * (costs[0] * counts[0] as f64 + costs[1] * counts[1] as f64)
                    });
                    let regret = cost / on_poll.min(on_epoll);
                    assert!(
                        regret < 1.4,
                        "{regret}: {descriptors}, {busy}, {counts:?}, {machine:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn fallbacks_are_forgotten_with_the_instance() {
    let mut set = Set::new();
    set.fallbacks = 64;
    set.waits(&AMD, load(64, 0), 1_000);
    assert!(set.has_epoll && !set.was_on_epoll);
    (set.has_epoll, set.fallbacks) = (false, 0);
    set.policy.forget_instance();
    set.waits(&AMD, load(64, 0), 1_000);
    assert!(set.has_epoll && set.was_on_epoll);
}

#[test]
fn a_trial_ends_also_if_its_waits_are_abandoned() {
    let mut set = Set::new();
    set.waits(&AMD, load(64, 16), 20_000);
    while !set.policy.is_in_trial {
        set.wait(&AMD, load(64, 16));
    }
    let preferred = set.policy.prefers_epoll;
    let unusual = (0..100).filter(|_| set.begin(&AMD, load(64, 16)).1 != preferred).count();
    assert_eq!(unusual, 3);
}

#[test]
fn a_trial_without_an_instance_ends() {
    for others in [8, 9_000] {
        let mut set = Set::new();
        while !set.policy.is_in_trial || set.has_epoll {
            set.wait(&AMD, load(16, 8));
        }
        set.wait(&AMD, load(others, 1));
        set.waits(&AMD, load(9_000, 1), 500);
        assert!(set.has_epoll, "{others}");
    }
}

#[test]
fn the_part_of_the_fallbacks_is_that_of_the_call() {
    let mut set = Set::new();
    set.fallbacks = 16;
    for wait in 0..100_000 {
        let blocked = wait % 2 == 0;
        set.wait(&AMD, Waits { descriptors: 256, ready: 1, blocked });
    }
    for (blocks, cost) in [(false, 530.0), (true, 3_140.0)] {
        let learnt = set.policy.epoll.by_kind(blocks).predict(1.0);
        assert!((0.6..1.6).contains(&(learnt / cost)), "{learnt} for {cost}");
    }
}

#[test]
fn modifications_do_not_change_the_price_of_additions() {
    let mut set = Set::new();
    set.waits(&EVENTFDS, load(100, 1), 2_000);
    let price = set.policy.addition.predict(1.0);
    for _ in 0..20_000 {
        set.pending.modifications += 1;
        set.wait(&EVENTFDS, load(100, 1));
    }
    assert!(set.was_on_epoll);
    assert_eq!(set.policy.addition.predict(1.0), price);
}

#[test]
fn entries_that_become_dearer_are_added_in_parts() {
    let mut set = Set::new();
    set.waits(&AMD, load(100, 1), 2_000);
    set.pending.additions += 9_000;
    let dear = Machine { entry: 20.0 * AMD.entry, ..AMD };
    let mut cost = 0.0;
    while !set.was_on_epoll || !set.pending.is_empty() {
        cost += set.wait(&dear, load(9_100, 1));
    }
    let price = 9_000.0 * dear.entry;
    assert!(cost < 2.5 * price, "{cost} for {price}");
    assert!(cost > 1.5 * price, "they were all added at once: {cost} for {price}");
}
