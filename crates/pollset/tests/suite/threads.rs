//! One set, many threads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Event, PollFlags, PollSet, Timeout, Waker};

use crate::util::fd::Fd;
use crate::util::oracle::assert_agrees;
use crate::util::wait::{assert_busy, while_waiting};
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds, set_of};

const _: () = {
    const fn may_go_anywhere<T: Send + Sync>() {}
    may_go_anywhere::<PollSet>();
    may_go_anywhere::<Waker>();
    may_go_anywhere::<Event>();
    may_go_anywhere::<Timeout>();
};

fn set_with_waker() -> (PollSet, Waker) {
    let waker = Waker::new().unwrap();
    (set_of([&waker], PollFlags::IN), waker)
}

/// What a wait returns that is under way while `changes` are made, and is woken after them.
fn wait_during(set: &PollSet, waker: &Waker, changes: impl FnOnce()) -> Vec<Event> {
    let events = while_waiting(set, LONG, || {
        changes();
        waker.wake().unwrap();
    });
    waker.clear().unwrap();
    events.unwrap()
}

#[test]
fn a_second_poll_while_one_waits_is_an_error() {
    let (set, waker) = set_with_waker();
    let events = wait_during(&set, &waker, || {
        let millisecond = Duration::from_millis(1);
        let deadline = Instant::now();
        for timeout in [Some(NOW), Some(millisecond), Some(LONG), None] {
            assert_busy(set.poll(timeout));
        }
        assert_busy(set.poll(deadline));
        assert_busy(set.poll(deadline + LONG));
    });
    assert_eq!(events, [event(&waker, PollFlags::IN)]);
}

#[test]
fn the_set_can_be_polled_again_after_the_wait() {
    let (set, waker) = set_with_waker();
    wait_during(&set, &waker, || assert_busy(set.poll(NOW)));
    assert_eq!(set.poll(NOW).unwrap(), []);
    wait_during(&set, &waker, || assert_busy(set.poll(None)));
}

#[test]
fn a_set_can_be_polled_from_any_thread_in_turn() {
    let fd = kinds::event_counter(1);
    let set = set_of([&fd], PollFlags::IN);
    for _ in 0..10 {
        thread::scope(|scope| {
            scope.spawn(|| assert_agrees(&set));
        });
    }
}

#[test]
fn what_is_registered_during_a_wait_counts_from_the_next() {
    let (set, waker) = set_with_waker();
    let ready = kinds::event_counter(1);
    let events = wait_during(&set, &waker, || {
        set.register(&ready, PollFlags::IN).unwrap();
        assert!(set.contains(&ready));
    });
    assert_eq!(events, [event(&waker, PollFlags::IN)]);
    assert_eq!(set.poll(NOW).unwrap(), [event(&ready, PollFlags::IN)]);
}

#[test]
fn what_is_modified_during_a_wait_counts_from_the_next() {
    let (set, waker) = set_with_waker();
    let (socket, _peer) = kinds::socket_pair();
    set.register(&socket, PollFlags::IN).unwrap();
    let events = wait_during(&set, &waker, || {
        set.modify(&socket, PollFlags::OUT).unwrap();
        assert_eq!(set.interest(&socket), Some(PollFlags::OUT));
    });
    assert_eq!(events, [event(&waker, PollFlags::IN)]);
    assert_eq!(set.poll(NOW).unwrap(), [event(&socket, PollFlags::OUT)]);
}

#[test]
fn what_is_unregistered_during_a_wait_counts_from_the_next() {
    let (set, waker) = set_with_waker();
    let counter = kinds::event_counter(0);
    set.register(&counter, PollFlags::IN).unwrap();
    let events = while_waiting(&set, LONG, || {
        set.unregister(&counter).unwrap();
        assert_eq!(set.len(), 1);
        counter.increment();
    });
    assert_eq!(events.unwrap(), [event(&counter, PollFlags::IN)]);
    waker.wake().unwrap();
    assert_eq!(set.poll(NOW).unwrap(), [event(&waker, PollFlags::IN)]);
}

#[test]
fn changes_do_not_end_a_wait() {
    let (set, waker) = set_with_waker();
    let ready = kinds::event_counter(1);
    wait_during(&set, &waker, || {
        for _ in 0..100 {
            set.register(&ready, PollFlags::IN).unwrap();
            set.modify(&ready, PollFlags::OUT).unwrap();
            set.unregister(&ready).unwrap();
        }
        thread::sleep(Duration::from_millis(5));
        assert_busy(set.poll(NOW));
    });
}

#[test]
fn thousands_of_changes_during_a_wait_leave_it_and_the_next_one_exact() {
    let (set, waker) = set_with_waker();
    let first: Vec<_> = (0..7).map(|_| kinds::event_counter(0)).collect();
    for fd in &first {
        set.register(fd, PollFlags::IN).unwrap();
    }
    for round in 1..5 {
        let events = while_waiting(&set, LONG, || {
            for i in 0..3_000 {
                set.register(NEVER_OPENED + i, PollFlags::OUT).unwrap();
            }
            for i in 0..3_000 - round {
                set.unregister(NEVER_OPENED + i).unwrap();
            }
            set.modify(&first[0], PollFlags::OUT).unwrap();
            first[3].increment();
        });
        assert_eq!(events.unwrap(), [event(&first[3], PollFlags::IN)]);
        let events = assert_agrees(&set);
        assert_eq!(events.len(), 2 + round as usize);

        first[3].drain();
        set.modify(&first[0], PollFlags::IN).unwrap();
        for i in 3_000 - round..3_000 {
            set.unregister(NEVER_OPENED + i).unwrap();
        }
        assert_eq!(assert_agrees(&set), []);
    }
    assert_eq!(wait_during(&set, &waker, || {}), [event(&waker, PollFlags::IN)]);
}

/// A small generator of numbers: the same ones each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }
}

/// Makes random changes of `fds`; returns what must be registered of them.
fn change_at_random(set: &PollSet, fds: &[Fd], seed: u64) -> Vec<(i32, PollFlags)> {
    let mut registered: Vec<(i32, PollFlags)> = Vec::new();
    let mut dice = Dice(seed);
    for _ in 0..4_000 {
        let fd = fds[dice.roll(fds.len())].number();
        let mask = PollFlags::from_bits_retain(dice.roll(8) as u16);
        let known = registered.iter().position(|(other, _)| *other == fd);
        match (dice.roll(3), known) {
            (0, Some(i)) => {
                set.unregister(fd).unwrap();
                registered.remove(i);
            }
            (0, None) => assert!(set.unregister(fd).is_err()),
            (1, Some(i)) => {
                set.modify(fd, mask).unwrap();
                registered[i].1 = mask;
            }
            (1, None) => assert!(set.modify(fd, mask).is_err()),
            (_, Some(i)) => {
                set.register(fd, mask).unwrap();
                registered[i].1 = mask;
            }
            (_, None) => {
                set.register(fd, mask).unwrap();
                registered.push((fd, mask));
            }
        }
    }
    registered
}

#[test]
fn a_set_changed_by_three_threads_while_a_fourth_polls_ends_up_exact() {
    let (set, waker) = set_with_waker();
    let pools: [Vec<Fd>; 3] = std::array::from_fn(|i| {
        let ready = |j| u32::from(j % 3 == 0);
        (0..10 * (i + 1)).map(|j| kinds::event_counter(ready(j))).collect()
    });
    let done = AtomicBool::new(false);
    let poll_until_done = || {
        while !done.load(Ordering::Acquire) {
            let events = set.poll(None).unwrap();
            let distinct: HashSet<_> = events.iter().map(|event| event.fd).collect();
            assert_eq!(distinct.len(), events.len(), "reported twice: {events:?}");
            waker.clear().unwrap();
        }
    };
    thread::scope(|scope| {
        let (set, poller) = (&set, scope.spawn(poll_until_done));
        let changers = [0, 1, 2].map(|i| {
            let pool = &pools[i];
            scope.spawn(move || change_at_random(set, pool, i as u64))
        });
        while !changers.iter().all(|changer| changer.is_finished()) {
            waker.wake().unwrap();
            thread::yield_now();
        }
        done.store(true, Ordering::Release);
        waker.wake().unwrap();
        poller.join().unwrap();

        for (pool, changer) in pools.iter().zip(changers) {
            let numbers: HashSet<_> = pool.iter().map(Fd::number).collect();
            let left = set.iter().filter(|(fd, _)| numbers.contains(fd));
            assert_eq!(left.collect::<Vec<_>>(), changer.join().unwrap());
        }
    });
    assert_agrees(&set);
}
