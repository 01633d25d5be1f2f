//! A wait that is made step by step.

use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet, Step, Waiting};

use crate::util::fd::Fd;
use crate::util::oracle::{assert_agrees, kernel_poll};
use crate::util::process::{Child, Side, alone, end_with};
use crate::util::signal::Alarm;
use crate::util::wait::assert_busy;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds, set_of, set_of_never_opened};

/// Steps until the wait is over.
fn finish(waiting: &mut Waiting<'_>) -> usize {
    loop {
        if let Step::Ready(ready) = waiting.step().unwrap() {
            return ready;
        }
    }
}

fn events(waiting: &mut Waiting<'_>) -> Vec<Event> {
    std::iter::from_fn(|| waiting.take_event()).collect()
}

fn counters(count: usize, value: u32) -> (Vec<Fd>, PollSet) {
    let counters: Vec<_> = (0..count).map(|_| kinds::event_counter(value)).collect();
    let set = set_of(&counters, PollFlags::IN);
    (counters, set)
}

#[test]
fn a_wait_in_steps_answers_as_one_in_a_piece() {
    for count in [0, 1, 8, 9, 200] {
        let set = set_of_never_opened(count);
        let registered: Vec<_> = set.iter().collect();
        for _ in 0..3 {
            let mut waiting = set.start(NOW).unwrap();
            assert_eq!(finish(&mut waiting), count as usize);
            assert_eq!(events(&mut waiting), kernel_poll(&registered));
            assert_eq!(events(&mut waiting), [], "each is given once");
        }
    }
}

#[test]
fn a_wait_that_is_over_says_so_again_and_asks_no_more() {
    let (counters, set) = counters(2, 1);
    let mut waiting = set.start(None).unwrap();
    assert_eq!(finish(&mut waiting), 2);
    counters[0].drain();
    assert!(waiting.is_short());
    assert_eq!(waiting.step().unwrap(), Step::Ready(2));
    assert_eq!(events(&mut waiting).len(), 2);
    assert_eq!(waiting.step().unwrap(), Step::Ready(2));
    assert_eq!(events(&mut waiting), []);
}

#[test]
fn there_are_no_events_before_the_wait_is_over() {
    for count in [1, 20, 200] {
        let (counters, set) = counters(count, 1);
        for _ in 0..3 {
            finish(&mut set.start(NOW).unwrap()); // whose answers nobody takes
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
fn nothing_is_asked_before_the_first_step() {
    let (counters, set) = counters(1, 0);
    let mut waiting = set.start(NOW).unwrap();
    counters[0].increment();
    assert_eq!(waiting.take_event(), None);
    assert_eq!(finish(&mut waiting), 1);
}

#[test]
fn short_steps_never_block() {
    for count in [0, 1, 8, 20, 64] {
        let (counters, set) = counters(count, 0);
        let _ends_a_step_that_blocks = Alarm::every(LONG);
        for _ in 0..40 {
            let start = Instant::now();
            let mut waiting = set.start(LONG).unwrap();
            while waiting.is_short() {
                assert_eq!(waiting.step().unwrap(), Step::Unfinished);
            }
            assert!(start.elapsed() < LONG);
            assert!(!waiting.is_short());
            drop(waiting);
        }
        if let Some(counter) = counters.last() {
            let mut waiting = set.start(None).unwrap();
            while waiting.is_short() {
                assert_eq!(waiting.step().unwrap(), Step::Unfinished);
            }
            counter.increment();
            assert_eq!(finish(&mut waiting), 1);
        }
    }
}

#[test]
fn what_is_ready_among_few_is_found_in_short_steps() {
    let (_counters, set) = counters(60, 1);
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

#[test]
fn a_step_that_applies_many_changes_is_not_short() {
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
fn a_step_that_asks_many_by_poll_is_not_short() {
    let set = set_of_never_opened(1_000);
    set.poll(NOW).unwrap();
    let mut waiting = set.start(NOW).unwrap();
    while waiting.is_short() {
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    }
    assert_eq!(waiting.step().unwrap(), Step::Ready(1_000));
}

#[test]
fn a_step_asks_up_to_128_and_is_short() {
    for (count, is_short) in [(128, true), (129, false)] {
        let set = Builder::new().engine(Engine::Poll).build();
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
fn an_idle_set_is_asked_before_one_wait_in_sixteen() {
    let counters: Vec<_> = (0..200).map(|_| kinds::event_counter(0)).collect();
    let set = Builder::new().engine(Engine::Poll).build();
    for counter in &counters {
        set.register(counter, PollFlags::IN).unwrap();
    }
    // To prepare it, to ask, and to wait.
    let asks_before = || {
        let mut waiting = set.start(Duration::from_nanos(1)).unwrap();
        (1..).find(|_| waiting.step().unwrap() == Step::Ready(0)) == Some(3)
    };
    assert!(asks_before(), "a new one");
    for _ in 0..100 {
        asks_before();
    }
    assert_eq!((0..160).filter(|_| asks_before()).count(), 10);
}

#[test]
fn debug_shows_the_set_that_waits() {
    let set = set_of_never_opened(1);
    let shown = format!("{:?}", set.start(NOW).unwrap());
    assert_eq!(shown, format!("Waiting {{ set: {set:?}, .. }}"));
}

#[test]
fn a_set_is_waiting_until_the_wait_is_dropped() {
    let (_counters, set) = counters(1, 1);
    let mut waiting = set.start(NOW).unwrap();
    assert_busy(set.poll(NOW));
    finish(&mut waiting);
    assert_busy(set.poll(NOW));
    drop(waiting);
    assert_eq!(assert_agrees(&set).len(), 1);
}

#[test]
fn a_wait_that_is_given_up_leaves_the_set_usable() {
    let (counters, set) = counters(20, 1);
    for steps in 0..4 {
        let mut waiting = set.start(None).unwrap();
        for _ in 0..steps {
            if let Step::Ready(_) = waiting.step().unwrap() {
                break;
            }
        }
        drop(waiting);
        assert_eq!(assert_agrees(&set).len(), counters.len());
    }
}

#[test]
fn what_is_not_taken_is_not_reported_by_the_next_wait() {
    let (counters, set) = counters(20, 1);
    for _ in 0..3 {
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(finish(&mut waiting), 20);
        assert_eq!(waiting.take_event(), Some(event(&counters[0], PollFlags::IN)));
        drop(waiting);
        counters[1..].iter().for_each(Fd::drain);
        assert_eq!(assert_agrees(&set), [event(&counters[0], PollFlags::IN)]);
        counters[1..].iter().for_each(Fd::increment);
    }
}

#[test]
fn what_is_changed_during_a_wait_in_steps_counts_from_the_next() {
    let (mut counters, set) = counters(20, 0);
    set.poll(NOW).unwrap();
    let mut waiting = set.start(LONG).unwrap();
    while waiting.is_short() {
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    }
    let new = kinds::event_counter(1);
    set.register(&new, PollFlags::IN).unwrap();
    let old = counters.pop().unwrap();
    set.unregister(&old).unwrap();
    counters[0].increment();
    finish(&mut waiting);
    assert_eq!(events(&mut waiting), [event(&counters[0], PollFlags::IN)]);
    drop(waiting);
    let ready = [event(&counters[0], PollFlags::IN), event(&new, PollFlags::IN)];
    assert_eq!(assert_agrees(&set), ready);
}

#[test]
fn a_slot_stays_with_its_registration() {
    let (counters, set) = counters(20, 1);
    let slots = || {
        let mut waiting = set.start(NOW).unwrap();
        finish(&mut waiting);
        let end = waiting.slots();
        let mut answers = [(usize::MAX, event(&counters[0], PollFlags::empty())); 21];
        let (few, many) = answers.split_at_mut(3);
        assert_eq!(waiting.take_answers(few), 3);
        assert_eq!(waiting.take_answers(many), 17);
        assert_eq!(waiting.take_answers(&mut []), 0);
        assert_eq!(waiting.take_event(), None);
        let answers = answers[..20].to_vec();
        assert!(answers.iter().all(|&(slot, _)| slot < end));
        answers.into_iter().map(|(slot, event)| (event.fd, slot)).collect::<Vec<_>>()
    };
    let before = slots();
    assert_eq!(before, slots());
    // Those registered later, and changes of masks, make no difference.
    set.unregister(&counters[19]).unwrap();
    set.register(&kinds::event_counter(1), PollFlags::IN).unwrap();
    set.modify(&counters[3], PollFlags::IN | PollFlags::OUT).unwrap();
    assert_eq!(before[..19], slots()[..19]);
}

#[test]
fn a_signal_ends_a_step_and_not_the_wait() {
    let (counters, set) = counters(1, 0);
    let mut waiting = set.start(LONG).unwrap();
    let _alarm = Alarm::every(Duration::from_millis(1));
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
fn a_step_without_a_timeout_sleeps_until_something_comes() {
    for engine in [Engine::Poll, Engine::Epoll] {
        let set = Builder::new().engine(engine).build();
        let mut waiting = set.start(None).unwrap();
        let _alarm = Alarm::every(Duration::from_millis(50));
        let unfinished = (0..).find(|_| waiting.step().unwrap() == Step::Interrupted);
        // To prepare it, and to ask.
        assert!(unfinished <= Some(2), "{engine:?}: {unfinished:?}");
    }
}

#[test]
fn steps_are_never_early() {
    let (_counters, set) = counters(1, 0);
    for microseconds in [1, 300, 1_700] {
        let timeout = Duration::from_micros(microseconds);
        let start = Instant::now();
        assert_eq!(finish(&mut set.start(timeout).unwrap()), 0);
        assert!(start.elapsed() >= timeout);
    }
}

#[test]
fn a_wait_may_be_finished_by_another_thread() {
    let (counters, set) = counters(1, 0);
    let mut waiting = set.start(LONG).unwrap();
    while waiting.is_short() {
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(finish(&mut waiting), 1));
        counters[0].increment();
    });
    assert_eq!(events(&mut waiting), [event(&counters[0], PollFlags::IN)]);
}

#[test]
fn a_child_forked_between_steps_may_use_the_set_or_go_on() {
    alone(|| {
        for (count, polls_first) in [(1, false), (1, true), (20, false), (20, true)] {
            let (counters, set) = counters(count, 1);
            for _ in 0..3 {
                set.poll(NOW).unwrap();
            }
            let mut waiting = set.start(LONG).unwrap();
            let check = |waiting: &mut Waiting<'_>| {
                assert_eq!(finish(waiting), count);
                assert_eq!(events(waiting).len(), count);
            };
            match Side::fork() {
                Side::Child => end_with(|| {
                    if polls_first {
                        assert_eq!(set.poll(NOW).unwrap().len(), count);
                    }
                    check(&mut waiting);
                    drop(waiting);
                    assert_eq!(assert_agrees(&set).len(), count);
                }),
                Side::Parent(child) => child.join(),
            }
            check(&mut waiting);
            drop(waiting);
            assert_eq!(assert_agrees(&set).len(), counters.len());
        }
    });
}

#[test]
fn two_waits_in_a_forked_child_know_of_each_other() {
    alone(|| {
        let (_counters, set) = counters(1, 1);
        let parents = set.start(NOW).unwrap();
        let child = Child::run(|| {
            let mut childs = set.start(NOW).unwrap();
            assert_busy(set.poll(NOW));
            drop(parents);
            assert_busy(set.poll(NOW));
            assert_eq!(finish(&mut childs), 1);
            drop(childs);
            assert_eq!(assert_agrees(&set).len(), 1);
        });
        child.join();
    });
}

#[test]
fn a_wait_that_starts_over_in_a_forked_child_is_a_wait() {
    alone(|| {
        let (_counters, set) = counters(1, 0);
        let mut waiting = set.start(Duration::from_millis(30)).unwrap();
        while waiting.is_short() {
            assert_eq!(waiting.step().unwrap(), Step::Unfinished);
        }
        let start = Instant::now();
        let child = Child::run(|| {
            assert_eq!(set.poll(NOW).unwrap(), []);
            assert_eq!(waiting.step().unwrap(), Step::Interrupted);
            assert_eq!(waiting.step().unwrap(), Step::Unfinished);
            assert_busy(set.poll(NOW));
            assert_eq!(finish(&mut waiting), 0);
            assert!(start.elapsed() >= Duration::from_millis(30));
        });
        child.join();
    });
}

#[test]
fn answers_that_a_forked_child_has_lost_are_reported_again() {
    alone(|| {
        let (_counters, set) = counters(20, 1);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(finish(&mut waiting), 20);
        match Side::fork() {
            Side::Child => end_with(|| {
                assert_eq!(set.poll(NOW).unwrap().len(), 20);
                assert_eq!(waiting.take_event(), None);
                drop(waiting);
                assert_eq!(assert_agrees(&set).len(), 20);
            }),
            Side::Parent(child) => child.join(),
        }
        assert_eq!(events(&mut waiting).len(), 20);
    });
}
