//! The engine that serves, with a load that stays the same and with one that changes.

use super::*;

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
fn fallbacks_cost_a_poll_beside_epoll() {
    for (fallbacks, uses_epoll) in [(0, true), (1, true), (500, true), (1_000, false)] {
        let mut policy = Policy::new(None);
        policy.record(poll_wait(1_000, 1));
        assert_eq!(policy.should_use(1_000, fallbacks, NOTHING), uses_epoll, "{fallbacks}");
    }
}

#[test]
fn a_forced_engine_is_the_engine() {
    assert!(!Policy::new(Some(Engine::Poll)).should_use(20_000, 0, NOTHING));
    assert!(!Policy::new(Some(Engine::Poll)).should_create(20_000));
    assert!(Policy::new(Some(Engine::Epoll)).should_use(1, 0, ADDITIONS));
    assert_eq!(Policy::new(Some(Engine::Epoll)).installable(ADDITIONS, 0), 9_000);
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
