//! What is allocated, and when.

use allocation_counter::measure;
use pollset::{PollFlags, PollSet};

use crate::util::fd::Fd;
use crate::util::number::enough_for;
use crate::util::{
    NEVER_OPENED, NOW, is_epoll_forced, kinds, new_set, set_of, set_of_never_opened,
};

const SIZES: [usize; 5] = [1, 8, 9, 64, 1_000];

#[track_caller]
fn assert_allocates_nothing(work: impl FnOnce()) {
    let cost = measure(work);
    assert_eq!(cost.count_total, 0, "{cost:?}");
}

fn counters(count: usize) -> Vec<Fd> {
    (0..count).map(|_| kinds::event_counter(0)).collect()
}

/// Waits with and without a timeout, often enough to have tried everything.
fn wait_often(set: &PollSet, events: &mut Vec<pollset::Event>, ready: usize) {
    for _ in 0..40 {
        assert_eq!(set.poll_into(events, NOW).unwrap(), ready);
        if ready > 0 {
            assert_eq!(set.poll_into(events, None).unwrap(), ready);
        } else {
            set.poll_into(events, std::time::Duration::from_nanos(1)).unwrap();
        }
    }
}

#[test]
fn a_new_set_allocates_nothing() {
    drop(new_set());
    assert_allocates_nothing(|| drop(new_set()));
    if !is_epoll_forced() {
        assert_allocates_nothing(|| {
            new_set().poll(NOW).unwrap();
        });
    }
}

#[test]
fn registering_the_same_again_allocates_nothing() {
    for size in SIZES.into_iter().filter(|&size| enough_for(size)) {
        let fds = counters(size);
        let mut set = set_of(&fds, PollFlags::IN);
        assert_allocates_nothing(|| {
            set.register_all(fds.iter().map(|fd| (fd, PollFlags::IN))).unwrap();
        });
    }
}

#[test]
fn waits_allocate_nothing_once_they_are_warm() {
    for size in SIZES.into_iter().filter(|&size| enough_for(size)) {
        let fds = counters(size);
        let set = set_of(&fds, PollFlags::IN);
        let mut events = Vec::with_capacity(size);
        for fds in [&fds[..0], &fds[size / 2..][..1], &fds[..]] {
            fds.iter().for_each(Fd::increment);
            for _ in 0..10 {
                wait_often(&set, &mut events, fds.len());
            }
            assert_allocates_nothing(|| wait_often(&set, &mut events, fds.len()));
        }
    }
}

#[test]
fn modifying_before_each_wait_allocates_nothing_once_it_is_warm() {
    for size in SIZES.into_iter().filter(|&size| enough_for(size)) {
        let fds = counters(size);
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
        assert_allocates_nothing(|| {
            for _ in 0..20 {
                modify_and_wait();
            }
        });
    }
}

#[test]
fn a_small_set_allocates_nothing_from_beginning_to_end() {
    if is_epoll_forced() {
        return;
    }
    for size in 1..=8 {
        let fds = counters(size);
        fds.iter().for_each(Fd::increment);
        let mut events = Vec::with_capacity(size);
        assert_allocates_nothing(|| {
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
fn changes_between_two_waits_allocate_nothing_however_many() {
    let set = set_of_never_opened(20);
    set.poll(NOW).unwrap();
    let change = || {
        set.modify(NEVER_OPENED + 3, PollFlags::OUT).unwrap();
        set.modify(NEVER_OPENED + 3, PollFlags::IN).unwrap();
        set.register(NEVER_OPENED + 20, PollFlags::IN).unwrap();
        set.unregister(NEVER_OPENED + 20).unwrap();
    };
    change();
    assert_allocates_nothing(|| (0..10_000).for_each(|_| change()));
}

#[test]
fn questions_about_the_set_allocate_nothing() {
    let fds = counters(100);
    let set = set_of(&fds, PollFlags::IN);
    assert_allocates_nothing(|| {
        assert_eq!(set.len(), 100);
        assert!(!set.is_empty());
        assert!(set.contains(&fds[3]));
        assert_eq!(set.interest(&fds[99]), Some(PollFlags::IN));
    });
}

/// Registers new numbers and unregisters those that have been there longest, `rounds` times, with
/// a wait in every `wait_every` rounds. Returns the most memory that this took.
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
fn a_set_that_is_churned_for_long_stays_bounded() {
    const SIZE: i32 = 5_000;
    const NEVER: i32 = i32::MAX;
    if !enough_for(SIZE as usize) {
        return;
    }
    for wait_every in [1_000, NEVER] {
        let unchanged = churn(SIZE, 1, 1);
        let for_long = churn(SIZE, 200_000, wait_every);
        assert!(for_long <= 4 * unchanged, "{for_long} bytes, {unchanged} without");
    }
}

#[test]
fn what_a_set_allocated_is_freed_with_it() {
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
