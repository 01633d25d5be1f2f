//! Heap allocations: none in steady state, bounded, and all freed.

use std::time::Duration;

use allocation_counter::measure;
use pollset::{Event, PollFlags, PollSet};

use crate::helpers::event_counters;
use crate::util::fd::Fd;
use crate::util::number::enough_fds_for;
use crate::util::{NEVER_OPENED, NOW, is_epoll_forced, new_set, set_of, set_of_never_opened};

const SIZES: [usize; 5] = [1, 8, 9, 64, 1_000];

#[track_caller]
pub fn assert_does_not_allocate(work: impl FnOnce()) {
    let cost = measure(work);
    assert_eq!(cost.count_total, 0, "{cost:?}");
}

/// Waits with and without a timeout, often enough for every way to wait.
fn wait_often(set: &PollSet, events: &mut Vec<Event>, ready: usize) {
    for _ in 0..40 {
        assert_eq!(set.poll_into(events, NOW).unwrap(), ready);
        if ready > 0 {
            assert_eq!(set.poll_into(events, None).unwrap(), ready);
        } else {
            assert_eq!(set.poll_into(events, Duration::from_nanos(1)).unwrap(), 0);
        }
    }
}

#[test]
fn new_set_does_not_allocate() {
    drop(new_set());
    assert_does_not_allocate(|| drop(new_set()));
    if !is_epoll_forced() {
        assert_does_not_allocate(|| {
            new_set().poll(NOW).unwrap();
        });
    }
}

#[test]
fn reregistering_does_not_allocate() {
    for size in SIZES.into_iter().filter(|&size| enough_fds_for(size)) {
        let fds = event_counters(size, 0);
        let mut set = set_of(&fds, PollFlags::IN);
        assert_does_not_allocate(|| {
            set.extend(fds.iter().map(|fd| (fd, PollFlags::IN)));
        });
    }
}

#[test]
fn warm_waits_do_not_allocate() {
    for size in SIZES.into_iter().filter(|&size| enough_fds_for(size)) {
        let fds = event_counters(size, 0);
        let set = set_of(&fds, PollFlags::IN);
        let mut events = Vec::with_capacity(size);
        for fds in [&fds[..0], &fds[size / 2..][..1], &fds[..]] {
            fds.iter().for_each(Fd::increment);
            for _ in 0..10 {
                wait_often(&set, &mut events, fds.len());
            }
            assert_does_not_allocate(|| wait_often(&set, &mut events, fds.len()));
        }
    }
}

#[test]
fn modify_between_warm_waits_does_not_allocate() {
    for size in SIZES.into_iter().filter(|&size| enough_fds_for(size)) {
        let fds = event_counters(size, 0);
        let set = set_of(&fds, PollFlags::IN);
        let mut events = Vec::with_capacity(size);
        let mut modify_and_wait = || {
            for mask in [PollFlags::IN | PollFlags::PRI, PollFlags::IN] {
                for fd in &fds {
                    set.modify(fd, mask).unwrap();
                }
                assert_eq!(set.poll_into(&mut events, NOW).unwrap(), 0);
            }
        };
        modify_and_wait();
        (0..25).for_each(|_| wait_often(&set, &mut Vec::with_capacity(size), 0));
        modify_and_wait();
        assert_does_not_allocate(|| {
            for _ in 0..20 {
                modify_and_wait();
            }
        });
    }
}

#[test]
fn small_set_never_allocates() {
    if is_epoll_forced() {
        return;
    }
    for size in 1..=8 {
        let fds = event_counters(size, 0);
        fds.iter().for_each(Fd::increment);
        let mut events = Vec::with_capacity(size);
        assert_does_not_allocate(|| {
            let set = new_set();
            for fd in &fds {
                set.register(fd, PollFlags::IN).unwrap();
            }
            assert_eq!(set.poll_into(&mut events, NOW).unwrap(), size);
            assert_eq!(set.poll_into(&mut events, None).unwrap(), size);
            for fd in &fds {
                set.unregister(fd).unwrap();
            }
        });
    }
}

#[test]
fn many_changes_between_two_waits_do_not_allocate() {
    let set = set_of_never_opened(20);
    set.poll(NOW).unwrap();
    let change = || {
        set.modify(NEVER_OPENED + 3, PollFlags::OUT).unwrap();
        set.modify(NEVER_OPENED + 3, PollFlags::IN).unwrap();
        set.register(NEVER_OPENED + 20, PollFlags::IN).unwrap();
        set.unregister(NEVER_OPENED + 20).unwrap();
    };
    change();
    assert_does_not_allocate(|| (0..10_000).for_each(|_| change()));
}

#[test]
fn queries_do_not_allocate() {
    let fds = event_counters(100, 0);
    let set = set_of(&fds, PollFlags::IN);
    assert_does_not_allocate(|| {
        assert_eq!(set.len(), 100);
        assert!(!set.is_empty());
        assert!(set.contains(&fds[3]));
        assert_eq!(set.interest(&fds[99]), Some(PollFlags::IN));
    });
}

/// Registers a new descriptor and unregisters the oldest one, `rounds` times, with a wait in every
/// `wait_every` rounds. Returns the peak of allocated bytes.
fn churn(size: i32, rounds: i32, wait_every: i32) -> u64 {
    let cost = measure(|| {
        let set = set_of_never_opened(size);
        let mut events = Vec::new();
        for i in 0..rounds {
            set.unregister(NEVER_OPENED + i).unwrap();
            set.register(NEVER_OPENED + size + i, PollFlags::IN).unwrap();
            if i % wait_every == wait_every - 1 {
                assert_eq!(set.poll_into(&mut events, NOW).unwrap(), size as usize);
            }
        }
    });
    cost.bytes_max
}

#[test]
fn memory_of_a_churned_set_is_bounded() {
    const SIZE: i32 = 5_000;
    const NEVER: i32 = i32::MAX;
    if !enough_fds_for(SIZE as usize) {
        return;
    }
    for wait_every in [1_000, NEVER] {
        let unchanged = churn(SIZE, 1, 1);
        let churned = churn(SIZE, 200_000, wait_every);
        assert!(churned <= 4 * unchanged, "{churned} bytes, {unchanged} without churn");
    }
}

#[test]
fn dropping_a_set_frees_all_its_memory() {
    let cost = measure(|| {
        let set = new_set();
        for i in 0..1_000 {
            set.register(NEVER_OPENED + i, PollFlags::IN).unwrap();
        }
        for i in (0..1_000).step_by(3) {
            set.unregister(NEVER_OPENED + i).unwrap();
        }
        drop(set.poll(NOW).unwrap());
    });
    assert_eq!((cost.count_current, cost.bytes_current), (0, 0));
}
