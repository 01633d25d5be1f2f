//! Stepwise waits: `PollSet::start`, and `Waiting` until it is dropped.

use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet, Step, Waiting};

use crate::helpers::{MILLISECOND, event_counters, run_short_steps, set_with_engine};
use crate::util::fd::Fd;
use crate::util::oracle::{assert_matches_kernel, kernel_poll};
use crate::util::process::{Child, Side, in_own_process, run_and_exit_child};
use crate::util::signal::Alarm;
use crate::util::wait::assert_concurrent_poll_error;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds, set_of, set_of_never_opened};

/// Steps until the wait is over. Returns the number of ready descriptors.
fn finish(waiting: &mut Waiting<'_>) -> usize {
    loop {
        if let Step::Ready(ready) = waiting.step().unwrap() {
            return ready;
        }
    }
}

fn take_events(waiting: &mut Waiting<'_>) -> Vec<Event> {
    std::iter::from_fn(|| waiting.take_event()).collect()
}

fn set_of_counters(count: usize, value: u32) -> (Vec<Fd>, PollSet) {
    let counters = event_counters(count, value);
    let set = set_of(&counters, PollFlags::IN);
    (counters, set)
}

#[test]
fn stepwise_wait_agrees_with_kernel() {
    for count in [0, 1, 8, 9, 200] {
        let set = set_of_never_opened(count);
        let registered: Vec<_> = set.iter().collect();
        for _ in 0..3 {
            let mut waiting = set.start(NOW).unwrap();
            assert_eq!(finish(&mut waiting), count as usize);
            assert_eq!(take_events(&mut waiting), kernel_poll(&registered));
            assert_eq!(take_events(&mut waiting), [], "each event is returned once");
        }
    }
}

#[test]
fn step_after_the_end_returns_the_same_result_without_polling() {
    let (counters, set) = set_of_counters(2, 1);
    let mut waiting = set.start(None).unwrap();
    assert_eq!(finish(&mut waiting), 2);
    counters[0].drain();
    assert!(waiting.is_short());
    assert_eq!(waiting.step().unwrap(), Step::Ready(2));
    assert_eq!(take_events(&mut waiting).len(), 2);
    assert_eq!(waiting.step().unwrap(), Step::Ready(2));
    assert_eq!(take_events(&mut waiting), []);
}

#[test]
fn no_events_before_the_wait_is_over() {
    for count in [1, 20, 200] {
        let (counters, set) = set_of_counters(count, 1);
        for _ in 0..3 {
            finish(&mut set.start(NOW).unwrap()); // leaves its events untaken
        }
        for counter in &counters {
            set.unregister(counter).unwrap();
        }
        let mut waiting = set.start(LONG).unwrap();
        assert_eq!(waiting.take_event(), None);
        while waiting.is_short() {
            assert_eq!(waiting.step().unwrap(), Step::Unfinished);
            assert_eq!(waiting.take_event(), None);
        }
    }
}

#[test]
fn start_does_not_poll() {
    let (counters, set) = set_of_counters(1, 0);
    let mut waiting = set.start(NOW).unwrap();
    counters[0].increment();
    assert_eq!(waiting.take_event(), None);
    assert_eq!(finish(&mut waiting), 1);
}

#[test]
fn short_steps_never_block() {
    for count in [0, 1, 8, 20, 64] {
        let (counters, set) = set_of_counters(count, 0);
        // Interrupts a step that blocks, which then returns `Interrupted`.
        let _alarm = Alarm::every(LONG);
        for _ in 0..40 {
            run_short_steps(&mut set.start(LONG).unwrap());
        }
        if let Some(counter) = counters.last() {
            let mut waiting = set.start(None).unwrap();
            run_short_steps(&mut waiting);
            counter.increment();
            assert_eq!(finish(&mut waiting), 1);
        }
    }
}

#[test]
fn ready_descriptors_of_a_small_set_are_found_in_short_steps() {
    // Not with the automatic choice: where poll(2) is slow it creates an instance within ten waits,
    // and that step isn't short.
    for engine in [Engine::Poll, Engine::Epoll] {
        let counters = event_counters(60, 1);
        let set = set_with_engine(engine, &counters);
        set.poll(NOW).unwrap();
        for timeout in [Some(NOW), None] {
            for _ in 0..5 {
                let mut waiting = set.start(timeout).unwrap();
                let ready = loop {
                    assert!(waiting.is_short());
                    match waiting.step().unwrap() {
                        Step::Ready(ready) => break ready,
                        step => assert_eq!(step, Step::Unfinished),
                    }
                };
                assert_eq!(ready, 60);
            }
        }
    }
}

#[test]
fn step_that_applies_many_changes_is_not_short() {
    let set = set_of_never_opened(65);
    assert!(!set.start(NOW).unwrap().is_short());
    set.poll(NOW).unwrap();
    set.poll(NOW).unwrap();
    for _ in 0..65 {
        assert!(set.start(NOW).unwrap().is_short());
        set.modify(NEVER_OPENED, PollFlags::OUT).unwrap();
    }
    assert!(!set.start(NOW).unwrap().is_short());
}

#[test]
fn step_that_polls_many_is_not_short() {
    let set = set_of_never_opened(1_000);
    set.poll(NOW).unwrap();
    let mut waiting = set.start(NOW).unwrap();
    run_short_steps(&mut waiting);
    assert_eq!(waiting.step().unwrap(), Step::Ready(1_000));
}

#[test]
fn step_that_polls_up_to_128_is_short() {
    for (count, is_short) in [(128, true), (129, false)] {
        let set = Builder::new().engine(Some(Engine::Poll)).build();
        for i in 0..count {
            set.register(NEVER_OPENED + i, PollFlags::IN).unwrap();
        }
        set.poll(NOW).unwrap();
        let mut waiting = set.start(NOW).unwrap();
        assert!(waiting.is_short());
        let outcome = waiting.step().unwrap();
        if is_short {
            assert_eq!(outcome, Step::Ready(count as usize));
        } else {
            assert_eq!(outcome, Step::Unfinished);
            assert!(!waiting.is_short());
        }
    }
}

#[test]
fn idle_set_is_polled_before_one_wait_in_sixteen() {
    let counters = event_counters(200, 0);
    let set = set_with_engine(Engine::Poll, &counters);
    let polls_before_waiting = || {
        let mut waiting = set.start(Duration::from_nanos(1)).unwrap();
        // Three steps: to prepare, to poll without blocking, and to wait.
        (1..).find(|_| waiting.step().unwrap() == Step::Ready(0)) == Some(3)
    };
    assert!(polls_before_waiting(), "in the first wait");
    for _ in 0..100 {
        polls_before_waiting();
    }
    assert_eq!((0..160).filter(|_| polls_before_waiting()).count(), 10);
}

#[test]
fn debug_shows_the_set() {
    let set = set_of_never_opened(1);
    let shown = format!("{:?}", set.start(NOW).unwrap());
    assert_eq!(shown, format!("Waiting {{ set: {set:?}, .. }}"));
}

#[test]
fn set_is_busy_until_the_wait_is_dropped() {
    let (_counters, set) = set_of_counters(1, 1);
    let mut waiting = set.start(NOW).unwrap();
    assert_concurrent_poll_error(set.poll(NOW));
    finish(&mut waiting);
    assert_concurrent_poll_error(set.poll(NOW));
    drop(waiting);
    assert_eq!(assert_matches_kernel(&set).len(), 1);
}

#[test]
fn abandoned_wait_leaves_set_usable() {
    let (counters, set) = set_of_counters(20, 1);
    for steps in 0..4 {
        let mut waiting = set.start(None).unwrap();
        for _ in 0..steps {
            if let Step::Ready(_) = waiting.step().unwrap() {
                break;
            }
        }
        drop(waiting);
        assert_eq!(assert_matches_kernel(&set).len(), counters.len());
    }
}

#[test]
fn events_not_taken_are_not_reported_by_the_next_wait() {
    let (counters, set) = set_of_counters(20, 1);
    for _ in 0..3 {
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(finish(&mut waiting), 20);
        assert_eq!(waiting.take_event(), Some(event(&counters[0], PollFlags::IN)));
        drop(waiting);
        counters[1..].iter().for_each(Fd::drain);
        assert_eq!(assert_matches_kernel(&set), [event(&counters[0], PollFlags::IN)]);
        counters[1..].iter().for_each(Fd::increment);
    }
}

#[test]
fn changes_between_steps_take_effect_at_next_wait() {
    let (mut counters, set) = set_of_counters(20, 0);
    set.poll(NOW).unwrap();
    let mut waiting = set.start(LONG).unwrap();
    run_short_steps(&mut waiting);
    let new = kinds::eventfd(1);
    set.register(&new, PollFlags::IN).unwrap();
    let old = counters.pop().unwrap();
    set.unregister(&old).unwrap();
    counters[0].increment();
    finish(&mut waiting);
    assert_eq!(take_events(&mut waiting), [event(&counters[0], PollFlags::IN)]);
    drop(waiting);
    let ready = [event(&counters[0], PollFlags::IN), event(&new, PollFlags::IN)];
    assert_eq!(assert_matches_kernel(&set), ready);
}

#[test]
fn slot_of_a_registration_is_stable() {
    let (counters, set) = set_of_counters(20, 1);
    let slots = || {
        let mut waiting = set.start(NOW).unwrap();
        finish(&mut waiting);
        let end = waiting.slots();
        let mut events = [(usize::MAX, event(&counters[0], PollFlags::empty())); 21];
        let (few, many) = events.split_at_mut(3);
        assert_eq!(waiting.take_events(few), 3);
        assert_eq!(waiting.take_events(many), 17);
        assert_eq!(waiting.take_events(&mut []), 0);
        assert_eq!(waiting.take_event(), None);
        let events = events[..20].to_vec();
        assert!(events.iter().all(|&(slot, _)| slot < end));
        events.into_iter().map(|(slot, event)| (event.fd, slot)).collect::<Vec<_>>()
    };
    let before = slots();
    assert_eq!(before, slots());
    // Later registrations and changes of masks don't move it.
    set.unregister(&counters[19]).unwrap();
    set.register(&kinds::eventfd(1), PollFlags::IN).unwrap();
    set.modify(&counters[3], PollFlags::IN | PollFlags::OUT).unwrap();
    assert_eq!(before[..19], slots()[..19]);
}

#[test]
fn signal_ends_the_step_but_not_the_wait() {
    let (counters, set) = set_of_counters(1, 0);
    let mut waiting = set.start(LONG).unwrap();
    let _alarm = Alarm::every(MILLISECOND);
    let mut interrupted = 0;
    while interrupted < 3 {
        match waiting.step().unwrap() {
            Step::Interrupted => interrupted += 1,
            step => assert_eq!(step, Step::Unfinished),
        }
    }
    counters[0].increment();
    assert_eq!(finish(&mut waiting), 1);
}

#[test]
fn step_without_timeout_sleeps_until_interrupted() {
    for engine in [Engine::Poll, Engine::Epoll] {
        let set = Builder::new().engine(Some(engine)).build();
        let mut waiting = set.start(None).unwrap();
        let _alarm = Alarm::every(50 * MILLISECOND);
        let unfinished = (0..).find(|_| waiting.step().unwrap() == Step::Interrupted);
        // Two steps: to prepare, and to poll without blocking.
        assert!(unfinished <= Some(2), "{engine:?}: {unfinished:?}");
    }
}

#[test]
fn stepwise_wait_is_never_early() {
    let (_counters, set) = set_of_counters(1, 0);
    for microseconds in [1, 300, 1_700] {
        let timeout = Duration::from_micros(microseconds);
        let start = Instant::now();
        assert_eq!(finish(&mut set.start(timeout).unwrap()), 0);
        assert!(start.elapsed() >= timeout);
    }
}

#[test]
fn wait_can_be_finished_by_another_thread() {
    let (counters, set) = set_of_counters(1, 0);
    let mut waiting = set.start(LONG).unwrap();
    run_short_steps(&mut waiting);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(finish(&mut waiting), 1));
        counters[0].increment();
    });
    assert_eq!(take_events(&mut waiting), [event(&counters[0], PollFlags::IN)]);
}

#[test]
fn child_forked_between_steps_can_poll_or_continue_the_wait() {
    in_own_process(|| {
        for (count, polls_first) in [(1, false), (1, true), (20, false), (20, true)] {
            let (counters, set) = set_of_counters(count, 1);
            for _ in 0..3 {
                set.poll(NOW).unwrap();
            }
            let mut waiting = set.start(LONG).unwrap();
            let check = |waiting: &mut Waiting<'_>| {
                assert_eq!(finish(waiting), count);
                assert_eq!(take_events(waiting).len(), count);
            };
            match Side::fork() {
                Side::Child => run_and_exit_child(|| {
                    if polls_first {
                        assert_eq!(set.poll(NOW).unwrap().len(), count);
                    }
                    check(&mut waiting);
                    drop(waiting);
                    assert_eq!(assert_matches_kernel(&set).len(), count);
                }),
                Side::Parent(child) => child.join(),
            }
            check(&mut waiting);
            drop(waiting);
            assert_eq!(assert_matches_kernel(&set).len(), counters.len());
        }
    });
}

#[test]
fn second_wait_in_child_is_an_error_although_the_first_is_inherited() {
    in_own_process(|| {
        let (_counters, set) = set_of_counters(1, 1);
        let inherited = set.start(NOW).unwrap();
        let child = Child::run(|| {
            let mut waiting = set.start(NOW).unwrap();
            assert_concurrent_poll_error(set.poll(NOW));
            drop(inherited);
            assert_concurrent_poll_error(set.poll(NOW));
            assert_eq!(finish(&mut waiting), 1);
            drop(waiting);
            assert_eq!(assert_matches_kernel(&set).len(), 1);
        });
        child.join();
    });
}

#[test]
fn wait_restarted_in_child_holds_the_set_and_times_out() {
    in_own_process(|| {
        let (_counters, set) = set_of_counters(1, 0);
        let mut waiting = set.start(30 * MILLISECOND).unwrap();
        run_short_steps(&mut waiting);
        let start = Instant::now();
        let child = Child::run(|| {
            assert_eq!(set.poll(NOW).unwrap(), []);
            assert_eq!(waiting.step().unwrap(), Step::Interrupted);
            assert_eq!(waiting.step().unwrap(), Step::Unfinished);
            assert_concurrent_poll_error(set.poll(NOW));
            assert_eq!(finish(&mut waiting), 0);
            assert!(start.elapsed() >= 30 * MILLISECOND);
        });
        child.join();
    });
}

#[test]
fn events_discarded_in_child_are_reported_by_its_next_wait() {
    in_own_process(|| {
        let (_counters, set) = set_of_counters(20, 1);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(finish(&mut waiting), 20);
        match Side::fork() {
            Side::Child => run_and_exit_child(|| {
                assert_eq!(set.poll(NOW).unwrap().len(), 20);
                assert_eq!(waiting.take_event(), None);
                drop(waiting);
                assert_eq!(assert_matches_kernel(&set).len(), 20);
            }),
            Side::Parent(child) => child.join(),
        }
        assert_eq!(take_events(&mut waiting).len(), 20);
    });
}
