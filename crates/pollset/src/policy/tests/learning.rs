//! Samples and trials: how wrong costs are noticed, and what that takes.

use super::*;

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
fn a_trial_ends_also_if_its_waits_are_abandoned() {
    let mut set = Set::new();
    set.waits(&AMD, load(64, 16), 20_000);
    while !set.policy.trials.is_running() {
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
        while !set.policy.trials.is_running() || set.has_epoll {
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
