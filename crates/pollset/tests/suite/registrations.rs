//! `register`, `modify`, `unregister`, and the queries about registrations.

use std::error::Error;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use allocation_counter::measure;
use pollset::{NotRegistered, PollFlags, PollSet, Stats};
use proptest::prelude::*;

use crate::helpers::event_counters;
use crate::util::fd::Fd;
use crate::util::kinds;
use crate::util::oracle::{assert_matches_kernel, assert_matches_kernel_for, kernel_poll};
use crate::util::process::in_own_process;
use crate::util::{NEVER_OPENED, NOW, cases, masks, new_set, set_of, set_of_never_opened};

const HUGE_FDS: [i32; 5] = [i32::MAX, i32::MAX - 1, i32::MAX / 2, 1 << 30, 1 << 24];

fn assert_registered(set: &PollSet, expected: &[(i32, PollFlags)]) {
    assert_eq!(set.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn flags_have_the_values_of_the_system() {
    use PollFlags as F;
    let values = [
        (F::IN, libc::POLLIN),
        (F::PRI, libc::POLLPRI),
        (F::OUT, libc::POLLOUT),
        (F::ERR, libc::POLLERR),
        (F::HUP, libc::POLLHUP),
        (F::NVAL, libc::POLLNVAL),
        (F::RDNORM, libc::POLLRDNORM),
        (F::RDBAND, libc::POLLRDBAND),
        (F::WRNORM, libc::POLLWRNORM),
        (F::WRBAND, libc::POLLWRBAND),
        (F::RDHUP, libc::POLLRDHUP),
    ];
    for (flag, value) in values {
        assert_eq!(flag.bits(), value as u16, "{flag}");
    }
}

#[test]
fn new_set_is_empty() {
    let set = new_set();
    assert!(set.is_empty());
    assert_eq!(set.len(), 0);
    assert_eq!(set.stats(), Stats::default());
    assert_eq!(set.iter().next(), None);
}

#[test]
fn contains_and_interest_query_registrations() {
    let set = PollSet::default();
    set.register(NEVER_OPENED, PollFlags::IN).unwrap();
    assert!(!set.is_empty());
    assert!(set.contains(NEVER_OPENED));
    assert!(!set.contains(NEVER_OPENED + 1));
    assert_eq!(set.interest(NEVER_OPENED), Some(PollFlags::IN));
    assert_eq!(set.interest(NEVER_OPENED + 1), None);
}

/// An object whose `as_raw_fd()` uses the set.
struct RegistersItself<'a> {
    set: &'a PollSet,
    fd: RawFd,
}

impl AsRawFd for RegistersItself<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.set.register(self.fd, PollFlags::OUT).unwrap();
        assert!(self.set.contains(self.fd));
        self.fd
    }
}

/// `as_raw_fd()` is called without a lock: it would wait for the lock that its caller holds.
#[test]
fn as_raw_fd_of_a_descriptor_may_use_the_set() {
    in_own_process(|| {
        let set = &new_set();
        let [one, two, three, four] = [7, 8, 9, 10].map(|fd| RegistersItself { set, fd });
        assert_eq!(set.interest(&one), Some(PollFlags::OUT));
        assert!(set.contains(&two));
        set.register(&three, PollFlags::IN).unwrap();
        set.modify(&two, PollFlags::PRI).unwrap();
        set.unregister(&four).unwrap();
        assert_registered(set, &[(7, PollFlags::OUT), (8, PollFlags::PRI), (9, PollFlags::IN)]);
    });
}

#[test]
fn objects_and_raw_fds_are_interchangeable() {
    let fd = kinds::eventfd(1);
    let set = new_set();
    set.register(&fd, PollFlags::IN).unwrap();
    assert!(set.contains(fd.number()));
    set.modify(fd.number(), PollFlags::OUT).unwrap();
    assert_eq!(set.interest(&fd), Some(PollFlags::OUT));
    assert!(set.contains(fd.as_fd()));
    set.unregister(&fd).unwrap();
    assert!(set.is_empty());
}

#[test]
fn reregistering_replaces_the_mask() {
    let set = new_set();
    set.register(NEVER_OPENED, PollFlags::IN).unwrap();
    set.register(NEVER_OPENED, PollFlags::OUT).unwrap();
    assert_registered(&set, &[(NEVER_OPENED, PollFlags::OUT)]);
}

#[test]
fn reregistering_and_modifying_keep_the_order() {
    let fds = [Fd::closed(), Fd::closed(), Fd::closed()];
    let set = set_of(&fds, PollFlags::IN);
    set.register(&fds[0], PollFlags::OUT).unwrap();
    set.modify(&fds[1], PollFlags::PRI).unwrap();
    let [a, b, c] = fds.each_ref().map(Fd::number);
    assert_registered(&set, &[(a, PollFlags::OUT), (b, PollFlags::PRI), (c, PollFlags::IN)]);
    assert_matches_kernel(&set);
}

#[test]
fn unregistering_and_registering_moves_to_the_end() {
    let fds = [Fd::closed(), Fd::closed(), Fd::closed()];
    let set = set_of(&fds, PollFlags::IN);
    set.unregister(&fds[0]).unwrap();
    set.register(&fds[0], PollFlags::IN).unwrap();
    let reported = set.poll(NOW).unwrap();
    let expected = [&fds[1], &fds[2], &fds[0]].map(Fd::number);
    assert!(reported.iter().map(|event| event.fd).eq(expected));
}

#[test]
fn modify_of_unregistered_fd_names_it_and_registers_nothing() {
    let set = new_set();
    let outcome = set.modify(NEVER_OPENED, PollFlags::IN);
    assert_eq!(outcome, Err(NotRegistered { fd: NEVER_OPENED }));
    assert!(set.is_empty());
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn unregister_of_unregistered_fd_names_it_in_the_error() {
    let set = set_of(&[Fd::closed()], PollFlags::IN);
    let error = set.unregister(NEVER_OPENED).unwrap_err();
    assert_eq!(error, NotRegistered { fd: NEVER_OPENED });
    assert!(error.to_string().contains(&NEVER_OPENED.to_string()));
    assert_eq!(set.len(), 1);
}

#[test]
fn not_registered_converts_to_io_error_that_contains_it() {
    let error = io::Error::from(NotRegistered { fd: 7 });
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let inner = error.get_ref().unwrap().downcast_ref();
    assert_eq!(inner, Some(&NotRegistered { fd: 7 }));
}

#[test]
fn source_of_not_registered_is_the_error_of_the_system() {
    let error = NotRegistered { fd: 7 };
    let source = error.source().unwrap().to_string();
    assert_eq!(source, io::Error::from_raw_os_error(libc::ENOENT).to_string());
}

#[test]
fn unregistered_fd_is_no_longer_known() {
    let set = set_of(&[Fd::closed()], PollFlags::IN);
    let (fd, _) = set.iter().next().unwrap();
    set.unregister(fd).unwrap();
    assert_eq!(set.unregister(fd), Err(NotRegistered { fd }));
    assert_eq!(set.modify(fd, PollFlags::IN), Err(NotRegistered { fd }));
}

#[test]
fn register_rejects_negative_fds() {
    let set = new_set();
    for fd in [-1, -2, i32::MIN] {
        let error = set.register(fd, PollFlags::IN).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let message = format!("file descriptor cannot be a negative integer ({fd})");
        assert_eq!(error.to_string(), message);
    }
    assert!(set.is_empty());
}

#[test]
fn negative_fds_are_never_registered() {
    let set = set_of_never_opened(20);
    // Leaves a gap in the slots at every size.
    set.unregister(NEVER_OPENED + 3).unwrap();
    for last in (4..20).rev() {
        for fd in [-1, -2, i32::MIN] {
            assert_eq!(set.unregister(fd), Err(NotRegistered { fd }));
            assert_eq!(set.modify(fd, PollFlags::IN), Err(NotRegistered { fd }));
            assert!(!set.contains(fd));
        }
        assert_eq!(set.len(), last as usize);
        set.unregister(NEVER_OPENED + last).unwrap();
    }
}

fn set_of_raw_fds(fds: &[i32]) -> PollSet {
    let set = new_set();
    for &fd in fds {
        set.register(fd, PollFlags::IN).unwrap();
    }
    set
}

#[test]
fn huge_fds_are_registered_and_reported_as_nval() {
    let set = set_of_raw_fds(&HUGE_FDS);
    let expected: Vec<_> = HUGE_FDS.iter().map(|&fd| (fd, PollFlags::NVAL)).collect();
    let reported = set.poll(NOW).unwrap();
    let reported: Vec<_> = reported.iter().map(|event| (event.fd, event.revents)).collect();
    assert_eq!(reported, expected);
    assert_matches_kernel(&set);
}

#[test]
fn huge_fds_take_little_memory() {
    let cost = measure(|| {
        let set = set_of_raw_fds(&HUGE_FDS);
        for step in 1..100 {
            set.register(step * (i32::MAX / 100), PollFlags::IN).unwrap();
        }
    });
    assert!(cost.bytes_max < 64 * 1024, "{} bytes", cost.bytes_max);
}

#[test]
fn every_mask_is_stored_unchanged() {
    let set = new_set();
    for bits in 0..=u16::MAX {
        let mask = PollFlags::from_bits_retain(bits);
        set.register(NEVER_OPENED, mask).unwrap();
        assert_eq!(set.interest(NEVER_OPENED), Some(mask));
    }
}

#[test]
fn every_mask_agrees_with_kernel() {
    let (socket, peer) = kinds::socket_pair();
    peer.write(b"data").unwrap();
    kinds::shut_down_writing(&peer);
    let (hung_up, _) = kinds::pipe();
    let fds = [socket, hung_up, kinds::regular_file(), kinds::eventfd(1), Fd::closed()];
    let set = set_of(&fds, PollFlags::empty());
    for bits in 0..=u16::MAX {
        let mask = PollFlags::from_bits_retain(bits);
        let entries = fds.each_ref().map(|fd| (fd.number(), mask));
        for fd in &fds {
            set.modify(fd, mask).unwrap();
        }
        assert_eq!(set.poll(NOW).unwrap(), kernel_poll(&entries), "mask {bits:#x}");
    }
}

#[test]
fn twenty_thousand_unopened_fds_can_be_registered() {
    let fds: Vec<_> = (0..20_000).map(|i| NEVER_OPENED + 7 * i).collect();
    let set = set_of_raw_fds(&fds);
    for &fd in &fds {
        set.modify(fd, PollFlags::OUT).unwrap();
    }
    assert_eq!(set.len(), 20_000);
    for &fd in fds.iter().step_by(2) {
        set.unregister(fd).unwrap();
    }
    let left: Vec<_> = fds.iter().skip(1).step_by(2).map(|&fd| (fd, PollFlags::OUT)).collect();
    assert_registered(&set, &left);
    for &fd in fds.iter().skip(1).step_by(2) {
        set.unregister(fd).unwrap();
    }
    assert!(set.is_empty());
}

#[test]
fn iteration_is_over_a_snapshot() {
    let set = set_of_raw_fds(&HUGE_FDS);
    for (fd, _) in &set {
        set.unregister(fd).unwrap();
    }
    assert!(set.is_empty());
}

#[test]
fn debug_shows_fds_and_masks_in_order() {
    let set = new_set();
    set.register(2, PollFlags::IN | PollFlags::OUT).unwrap();
    set.register(0, PollFlags::empty()).unwrap();
    assert_eq!(format!("{set:?}"), "PollSet {2: IN | OUT, 0: (none)}");
}

#[test]
fn set_shrinking_to_empty_agrees_with_kernel() {
    let fds: Vec<_> = (0..40).map(|_| Fd::closed()).collect();
    for stride in [1, 7, 11, 39] {
        let set = set_of(&fds, PollFlags::IN);
        for step in 0..fds.len() {
            set.unregister(&fds[step * stride % fds.len()]).unwrap();
            assert_eq!(assert_matches_kernel(&set).len(), fds.len() - step - 1);
        }
    }
}

/// An operation on a set. The first number of each selects a descriptor from a pool.
#[derive(Clone, Debug)]
enum Op {
    Register(usize, PollFlags),
    Modify(usize, PollFlags),
    Unregister(usize),
    UnregisterRun(usize, usize),
    Poll,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (any::<usize>(), masks()).prop_map(|(i, mask)| Op::Register(i, mask)),
        3 => (any::<usize>(), masks()).prop_map(|(i, mask)| Op::Modify(i, mask)),
        5 => any::<usize>().prop_map(Op::Unregister),
        1 => (any::<usize>(), 0..30_usize).prop_map(|(i, run)| Op::UnregisterRun(i, run)),
        3 => Just(Op::Poll),
    ];
    prop::collection::vec(op, 0..300)
}

/// Unopened descriptors: few, sequential, far apart, colliding in their lower bits, huge.
fn pools() -> impl Strategy<Value = Vec<i32>> {
    let sequence = |from: i32, step: i32| {
        (1..150_i32).prop_map(move |count| (0..count).map(|i| from + i * step).collect())
    };
    prop_oneof![
        (1..16_i32).prop_map(|count| (0..count).map(|i| NEVER_OPENED + i).collect()),
        sequence(NEVER_OPENED, 1),
        sequence(NEVER_OPENED, 4096),
        sequence(i32::MAX, -1),
        sequence(1 << 24, 1 << 23),
    ]
}

/// The registrations as a list with linear search: simple enough to be the reference.
#[derive(Default)]
struct Model(Vec<(i32, PollFlags)>);

impl Model {
    fn find(&mut self, fd: i32) -> Option<&mut (i32, PollFlags)> {
        self.0.iter_mut().find(|(known, _)| *known == fd)
    }

    fn register(&mut self, fd: i32, mask: PollFlags) {
        if !self.modify(fd, mask) {
            self.0.push((fd, mask));
        }
    }

    fn modify(&mut self, fd: i32, mask: PollFlags) -> bool {
        self.find(fd).map(|entry| entry.1 = mask).is_some()
    }

    fn unregister(&mut self, fd: i32) -> bool {
        let known = self.find(fd).is_some();
        self.0.retain(|(other, _)| *other != fd);
        known
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn random_changes_agree_with_a_list_model(pool in pools(), ops in ops()) {
        let set = new_set();
        let mut model = Model::default();
        let at = |i: usize| pool[i % pool.len()];
        for op in ops {
            match op {
                Op::Register(i, mask) => {
                    set.register(at(i), mask).unwrap();
                    model.register(at(i), mask);
                }
                Op::Modify(i, mask) => {
                    let modified = set.modify(at(i), mask).is_ok();
                    prop_assert_eq!(modified, model.modify(at(i), mask));
                }
                Op::Unregister(i) => {
                    let unregistered = set.unregister(at(i)).is_ok();
                    prop_assert_eq!(unregistered, model.unregister(at(i)));
                }
                Op::UnregisterRun(i, run) => {
                    for fd in (0..run).map(|offset| at((i % pool.len()) + offset)) {
                        prop_assert_eq!(set.unregister(fd).is_ok(), model.unregister(fd));
                    }
                }
                Op::Poll => {
                    assert_matches_kernel_for(&set, &model.0);
                }
            }
            prop_assert_eq!(set.len(), model.0.len());
        }
        for &fd in &pool {
            let expected = model.find(fd).map(|entry| entry.1);
            prop_assert_eq!(set.interest(fd), expected);
        }
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.0.clone());
        assert_matches_kernel_for(&set, &model.0);
    }
}

#[test]
fn extending_equals_registering_one_by_one() {
    for count in [0, 1, 8, 9, 100] {
        let fds = event_counters(count, 1);
        let mut at_once = new_set();
        at_once.extend(fds.iter().map(|fd| (fd, PollFlags::IN)));
        let one_by_one = set_of(&fds, PollFlags::IN);
        assert!(at_once.iter().eq(one_by_one.iter()));
        assert_eq!(assert_matches_kernel(&at_once).len(), count);
        let collected: PollSet = fds.iter().map(|fd| (fd, PollFlags::IN)).collect();
        assert!(collected.iter().eq(one_by_one.iter()));
    }
}

#[test]
fn extending_keeps_the_order_and_replaces_masks() {
    let mut set = new_set();
    set.register(7, PollFlags::IN).unwrap();
    set.poll(NOW).unwrap();
    set.extend([(9, PollFlags::IN), (7, PollFlags::OUT), (9, PollFlags::PRI)]);
    assert_registered(&set, &[(7, PollFlags::OUT), (9, PollFlags::PRI)]);
    assert_matches_kernel(&set);
}

#[test]
fn extending_panics_at_a_negative_fd_and_the_set_stays_usable() {
    let mut set = new_set();
    let many = [(1, PollFlags::IN), (-1, PollFlags::IN), (2, PollFlags::IN)];
    let panic = catch_unwind(AssertUnwindSafe(|| set.extend(many))).unwrap_err();
    let message: &String = panic.downcast_ref().unwrap();
    assert_eq!(message, "file descriptor cannot be a negative integer (-1)");
    assert_registered(&set, &[(1, PollFlags::IN)]);
    assert_matches_kernel(&set);
}

#[test]
fn huge_size_hint_does_not_cause_a_huge_allocation() {
    struct Exaggerates(i32);
    impl Iterator for Exaggerates {
        type Item = (RawFd, PollFlags);

        fn next(&mut self) -> Option<Self::Item> {
            self.0 += 1;
            (self.0 < 20).then_some((self.0, PollFlags::IN))
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }

    let mut set = new_set();
    let cost = measure(|| set.extend(Exaggerates(-1)));
    assert!(cost.bytes_max < 16 * 1024 * 1024, "{} bytes", cost.bytes_max);
    let expected: Vec<_> = (0..20).map(|fd| (fd, PollFlags::IN)).collect();
    assert_registered(&set, &expected);
}

#[test]
fn a_set_that_has_shrunk_can_be_extended() {
    for left in 0..20 {
        let mut set = new_set();
        set.extend((0..20).map(|fd| (fd, PollFlags::IN)));
        for fd in (left..20).rev() {
            set.unregister(fd).unwrap();
        }
        let expected: Vec<_> = (0..100).map(|fd| (fd, PollFlags::OUT)).collect();
        set.extend(expected.iter().copied());
        assert_registered(&set, &expected);
        for (fd, mask) in expected {
            assert_eq!(set.interest(fd), Some(mask));
        }
    }
}

#[test]
fn cleared_sets_are_like_new_ones() {
    for size in [0, 1, 8, 9, 100] {
        let fds = event_counters(size, 1);
        let set = set_of(&fds, PollFlags::IN);
        for _ in 0..3 {
            assert_eq!(assert_matches_kernel(&set).len(), size);
            set.clear();
            assert_registered(&set, &[]);
            assert_eq!(set.poll(NOW).unwrap(), []);
            assert!(fds.iter().all(|fd| !set.contains(fd)));
            // In the reverse order, so that other slots have these descriptors.
            for fd in fds.iter().rev() {
                set.register(fd, PollFlags::IN).unwrap();
            }
        }
    }
}

#[test]
fn registrations_are_iterated_from_both_ends() {
    let set = set_of_never_opened(3);
    let mut iter = set.iter();
    set.clear();
    assert_eq!((iter.len(), iter.size_hint()), (3, (3, Some(3))));
    assert_eq!(iter.next().unwrap().0, NEVER_OPENED);
    assert_eq!(iter.next_back().unwrap().0, NEVER_OPENED + 2);
    assert_eq!(iter.clone().count(), 1);
    assert!((&set).into_iter().next().is_none());
}
