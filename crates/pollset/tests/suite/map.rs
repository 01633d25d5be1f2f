//! `PollMap`: values with registrations, and the events of registrations that are gone.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use pollset::{Builder, NotRegistered, PollFlags, PollMap};
use proptest::prelude::*;

use crate::allocations::assert_does_not_allocate;
use crate::helpers::{MILLISECOND, event_counters};
use crate::util::fd::Fd;
use crate::util::signal::Alarm;
use crate::util::{LONG, NEVER_OPENED, NOW, cases, engine, event, kinds};

fn new_map<T>() -> PollMap<T> {
    Builder::new().engine(engine()).build_map()
}

/// A map in which each descriptor has its place in `fds` as its value.
fn map_of(fds: &[Fd]) -> PollMap<usize> {
    let mut map = new_map();
    for (value, fd) in fds.iter().enumerate() {
        assert_eq!(map.register(fd, PollFlags::IN, value).unwrap(), None);
    }
    map
}

/// The values of the next events.
fn take_values<T: Clone>(map: &mut PollMap<T>) -> Vec<T> {
    let mut values = Vec::new();
    while let Some((_, value)) = map.next_event() {
        values.push(value.clone());
    }
    values
}

#[test]
fn events_come_with_their_values_in_registration_order() {
    for size in [1, 8, 9, 200] {
        let fds = event_counters(size, 1);
        let mut map = map_of(&fds);
        for timeout in [Some(NOW), None] {
            assert_eq!(map.poll(timeout).unwrap(), size);
            for (value, fd) in fds.iter().enumerate() {
                let expected = (event(fd, PollFlags::IN), &mut value.clone());
                assert_eq!(map.next_event(), Some(expected));
            }
            assert_eq!(map.next_event(), None);
        }
    }
}

#[test]
fn values_can_be_changed_and_taken_back() {
    let fds = event_counters(20, 1);
    let mut map = map_of(&fds);
    map.poll(None).unwrap();
    while let Some((_, value)) = map.next_event() {
        *value += 100;
    }
    *map.get_mut(&fds[1]).unwrap() += 1_000;
    map.iter_mut().for_each(|(_, value)| *value += 10_000);
    assert_eq!((map.get(&fds[0]), map.get(&fds[1])), (Some(&10_100), Some(&11_101)));
    assert_eq!(map.unregister(&fds[0]), Ok(10_100));
    assert_eq!(map.unregister(&fds[0]), Err(NotRegistered { fd: fds[0].as_raw_fd() }));
    assert_eq!((map.len(), map.get(&fds[0])), (19, None));
    assert_eq!(map.get_mut(&fds[0]), None);
    let mut iterated: Vec<_> = map.iter().map(|(fd, _)| fd).collect();
    iterated.sort_unstable();
    let mut expected: Vec<_> = fds[1..].iter().map(Fd::number).collect();
    expected.sort_unstable();
    assert_eq!(iterated, expected);
}

/// In the loop over the events of one wait, a program closes a descriptor that is ready, too, and
/// opens another file, which gets its number. With a map by number alone, the event of the old file
/// comes with the value of the new one.
#[test]
fn event_of_a_closed_file_is_not_delivered_to_its_successor() {
    for idle in [0, 100] {
        let idle = event_counters(idle, 0);
        let mut map = new_map();
        for fd in &idle {
            map.register(fd, PollFlags::IN, "idle").unwrap();
        }
        let [first, mut second] = [kinds::eventfd(1), kinds::eventfd(1)];
        map.register(&first, PollFlags::IN, "first").unwrap();
        map.register(&second, PollFlags::IN, "second").unwrap();
        for unregisters in [true, false] {
            assert_eq!(map.poll(None).unwrap(), 2);
            assert_eq!(map.next_event().map(|(_, value)| *value), Some("first"));
            if unregisters {
                map.unregister(&second).unwrap();
            }
            second.open(kinds::eventfd(0).dup_file());
            let old = map.register(&second, PollFlags::IN, "successor").unwrap();
            assert_eq!(old.is_some(), !unregisters);
            assert_eq!(map.next_event(), None, "the event is that of the old file");

            assert_eq!(map.poll(NOW).unwrap(), 1);
            assert_eq!(take_values(&mut map), ["first"]);
            second.increment();
            map.poll(NOW).unwrap();
            assert_eq!(take_values(&mut map), ["first", "successor"]);
        }
    }
}

#[test]
fn events_of_registrations_that_are_gone_are_left_out() {
    let fds = event_counters(5, 1);
    let mut map = map_of(&fds);
    assert_eq!(map.poll(NOW).unwrap(), 5);
    assert_eq!(map.next_event().map(|(_, value)| *value), Some(0));
    for gone in [&fds[0], &fds[1], &fds[3]] {
        map.unregister(gone).unwrap();
    }
    assert_eq!(take_values(&mut map), [2, 4]);
    assert_eq!(map.poll(NOW).unwrap(), 2);
    map.clear();
    assert_eq!(map.next_event(), None);
    assert!(map.is_empty() && map.get(&fds[2]).is_none());
    assert_eq!(map.poll(NOW).unwrap(), 0);
}

#[test]
fn modified_registrations_are_not_gone() {
    let fds = event_counters(2, 1);
    let mut map = map_of(&fds);
    map.poll(NOW).unwrap();
    map.modify(&fds[0], PollFlags::empty()).unwrap();
    assert_eq!(map.interest(&fds[0]), Some(PollFlags::empty()));
    assert_eq!(take_values(&mut map), [0, 1]);
    map.poll(NOW).unwrap();
    assert_eq!(take_values(&mut map), [1]);
    assert_eq!(map.modify(NEVER_OPENED, PollFlags::IN), Err(NotRegistered { fd: NEVER_OPENED }));
}

#[test]
fn the_next_wait_drops_the_events_of_the_last_one() {
    let fds = event_counters(3, 1);
    let mut map = map_of(&fds);
    map.poll(NOW).unwrap();
    map.next_event().unwrap();
    fds[1].drain();
    map.poll(NOW).unwrap();
    assert_eq!(take_values(&mut map), [0, 2]);
}

#[test]
fn after_a_failed_wait_there_are_no_events() {
    let fd = kinds::eventfd(0);
    let mut map = map_of(std::slice::from_ref(&fd));
    fd.increment();
    map.poll(NOW).unwrap();
    fd.drain();
    let _alarm = Alarm::every(MILLISECOND);
    let error = map.poll_interruptible(LONG, || ControlFlow::Break(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(map.next_event(), None);
}

#[test]
fn negative_numbers_are_refused() {
    let mut map = new_map();
    let error = map.register(-1, PollFlags::IN, ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(map.is_empty() && map.iter().next().is_none());
}

#[test]
fn each_value_is_dropped_once() {
    let value = Rc::new(());
    let mut map = new_map();
    for fd in 0..20 {
        map.register(NEVER_OPENED + fd, PollFlags::IN, Rc::clone(&value)).unwrap();
    }
    assert_eq!(Rc::strong_count(&value), 21);
    map.register(NEVER_OPENED, PollFlags::IN, Rc::clone(&value)).unwrap();
    map.unregister(NEVER_OPENED + 1).unwrap();
    map.register(-1, PollFlags::IN, Rc::clone(&value)).unwrap_err();
    assert_eq!(Rc::strong_count(&value), 20);
    map.clear();
    assert_eq!(Rc::strong_count(&value), 1);
    map.register(NEVER_OPENED, PollFlags::IN, Rc::clone(&value)).unwrap();
    drop(map);
    assert_eq!(Rc::strong_count(&value), 1);
}

/// The map is dropped before its values: they own the descriptors that it watches.
#[test]
fn values_may_own_their_descriptors() {
    let mut map = new_map();
    for _ in 0..100 {
        let fd = kinds::eventfd(1);
        let copy = fd.dup_file();
        map.register(copy.as_raw_fd(), PollFlags::IN, copy).unwrap();
    }
    (0..100).for_each(|_| assert_eq!(map.poll(NOW).unwrap(), 100));
    while let Some((event, _)) = map.next_event() {
        map.unregister(event.fd).unwrap();
    }
    assert_eq!(map.poll(NOW).unwrap(), 0);
}

#[test]
fn warm_waits_and_events_do_not_allocate() {
    for size in [8, 200] {
        let fds = event_counters(size, 1);
        let mut map = map_of(&fds);
        let mut wait = || {
            assert_eq!(map.poll(NOW).unwrap(), size);
            while let Some((event, value)) = map.next_event() {
                *value += 1;
                map.modify(event.fd, PollFlags::IN).unwrap();
            }
        };
        (0..200).for_each(|_| wait());
        assert_does_not_allocate(wait);
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Register(RawFd),
    Unregister(RawFd),
    Modify(RawFd),
    Poll,
    Next,
    Clear,
}

fn ops() -> impl Strategy<Value = Op> {
    let fd = 0..12;
    prop_oneof![
        8 => fd.clone().prop_map(Op::Register),
        4 => fd.clone().prop_map(Op::Unregister),
        2 => fd.prop_map(Op::Modify),
        3 => Just(Op::Poll),
        8 => Just(Op::Next),
        1 => Just(Op::Clear),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    /// Each registration has a value of its own. An event comes with the value of the registration
    /// that the wait has found ready, or not at all. (The descriptors are not open, so all are ready.)
    #[test]
    fn events_are_delivered_to_the_registrations_that_the_wait_has_polled(
        ops in prop::collection::vec(ops(), 1..200),
    ) {
        let mut map = new_map();
        let mut registered: Vec<(RawFd, usize)> = Vec::new();
        let mut batch: Vec<(RawFd, usize)> = Vec::new();
        for (value, op) in ops.into_iter().enumerate() {
            match op {
                Op::Register(fd) => {
                    let old = map.register(NEVER_OPENED + fd, PollFlags::IN, value).unwrap();
                    match registered.iter_mut().find(|entry| entry.0 == fd) {
                        Some(entry) => {
                            prop_assert_eq!(old, Some(std::mem::replace(&mut entry.1, value)));
                        }
                        None => {
                            prop_assert_eq!(old, None);
                            registered.push((fd, value));
                        }
                    }
                }
                Op::Unregister(fd) => {
                    let place = registered.iter().position(|entry| entry.0 == fd);
                    let expected = place.map(|place| registered.remove(place).1);
                    prop_assert_eq!(map.unregister(NEVER_OPENED + fd).ok(), expected);
                }
                Op::Modify(fd) => {
                    let is_registered = registered.iter().any(|entry| entry.0 == fd);
                    let outcome = map.modify(NEVER_OPENED + fd, PollFlags::OUT);
                    prop_assert_eq!(outcome.is_ok(), is_registered);
                }
                Op::Poll => {
                    batch.clone_from(&registered);
                    prop_assert_eq!(map.poll(NOW).unwrap(), batch.len());
                }
                Op::Next => {
                    let mut expected = None;
                    while expected.is_none() && !batch.is_empty() {
                        let entry = batch.remove(0);
                        expected = registered.contains(&entry).then_some(entry);
                    }
                    let next = map.next_event().map(|(event, value)| (event.fd, *value));
                    prop_assert_eq!(next, expected.map(|(fd, value)| (NEVER_OPENED + fd, value)));
                }
                Op::Clear => {
                    map.clear();
                    registered.clear();
                }
            }
            prop_assert_eq!(map.len(), registered.len());
        }
    }
}
