//! When an instance is created, and entries are installed.

use super::*;

#[test]
fn cost_is_never_much_more_than_twice_the_best_in_hindsight() {
    for machine in MACHINES {
        let large = [load(100_000, 1), load(1_000_000, 1), load(1_000_000, 10_000)];
        for load in loads().into_iter().chain(large) {
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
fn no_wait_installs_far_more_than_it_takes() {
    for machine in MACHINES {
        for descriptors in [1_000, 20_000, 100_000, 1_000_000] {
            let (mut set, load) = (Set::new(), load(descriptors, 1));
            let usual = machine.call(false, load);
            let most = 3.5 * usual + 1.5e6;
            let mut waits = 0;
            while !set.was_on_epoll {
                let cost = set.wait(&machine, load);
                assert!(
                    cost < most,
                    "{cost} with {usual} for a poll(2) of {descriptors}: {machine:?}"
                );
                waits += 1;
            }
            let price = machine.entry * descriptors as f64;
            assert!(f64::from(waits) < 1.5 * price / usual + 100.0, "{waits}: {machine:?}");
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
fn a_context_switch_makes_no_engine_cheaper() {
    // Blocking takes 3 µs, more than assumed.
    let mut set = Set::new();
    set.waits(&AMD, Waits { descriptors: 9, ready: 9, blocked: true }, 30);
    assert!(!set.has_epoll);
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
fn after_each_failure_the_next_attempt_comes_later() {
    let mut policy = Policy::new(Some(Engine::Epoll));
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
fn modifications_do_not_change_the_price_of_additions() {
    let mut set = Set::new();
    set.waits(&EVENTFDS, load(100, 1), 2_000);
    let price = set.policy.purchase.addition.predict(1.0);
    for _ in 0..20_000 {
        set.pending.modifications += 1;
        set.wait(&EVENTFDS, load(100, 1));
    }
    assert!(set.was_on_epoll);
    assert_eq!(set.policy.purchase.addition.predict(1.0), price);
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

/// Each wait of a set comes with new descriptors, whose price is `share` of what epoll would save.
#[test]
fn steady_additions_cost_about_twice_the_best_at_most() {
    for machine in [INTEL, AMD, SLOW_AMD] {
        for descriptors in [1_000, 20_000, 1_000_000] {
            for share in [0.5, 0.9, 1.1, 1.5, 2.0, 3.0] {
                let load = load(descriptors, 1);
                let advantage = machine.call(false, load) - machine.call(true, load);
                let new = (share * advantage / machine.entry) as usize;
                let mut set = Set::new();
                set.waits(&machine, load, 500);
                let mut cost = 0.0;
                for _ in 0..2_000 {
                    set.pending.additions = (set.pending.additions + new).min(descriptors);
                    cost += set.wait(&machine, load);
                }
                let on_poll = machine.call(false, load);
                let on_epoll = machine.call(true, load) + new as f64 * machine.entry;
                let ratio = cost / 2_000.0 / on_poll.min(on_epoll);
                assert!(ratio < 2.2, "{ratio}: {descriptors}, {share}, {machine:?}");
            }
        }
    }
}

/// Their entries cost more than the three waits of a trial may add.
#[test]
fn trials_of_large_sets_are_made() {
    for machine in [AMD, EVENTFDS, SLOW_AMD] {
        // epoll is cheap for each ready one, and assumed to be dearer than poll(2).
        let machine = Machine { epoll: [(200.0, 15.0), (1_600.0, 15.0)], ..machine };
        for descriptors in [1_000, 9_000, 20_000] {
            for share in [25, 40] {
                let mut set = Set::new();
                set.waits(&machine, load(descriptors, descriptors * share / 100), 6_000);
                assert!(set.was_on_epoll, "{descriptors}, {share} %, {machine:?}");
            }
        }
    }
}
