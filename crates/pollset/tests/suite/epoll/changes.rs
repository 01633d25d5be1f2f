//! The changes that a wait applies to the epoll instance: no more than needed.

use pollset::{PollFlags, PollSet, Waker};

use super::{epoll_set, polled_set};
use crate::helpers::event_counters;
use crate::util::fd::Fd;
use crate::util::oracle::assert_matches_kernel;
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, kinds};

/// The number of changes that a wait applies.
fn changes_applied_by_wait(set: &PollSet) -> u64 {
    let before = set.stats().changes_applied;
    set.poll(NOW).unwrap();
    set.stats().changes_applied - before
}

#[test]
fn many_changes_of_one_fd_are_applied_as_one() {
    let fd = kinds::eventfd(1);
    let set = epoll_set();
    for _ in 0..100 {
        set.register(&fd, PollFlags::IN).unwrap();
        set.modify(&fd, PollFlags::OUT).unwrap();
    }
    assert_eq!(changes_applied_by_wait(&set), 1);
    for _ in 0..100 {
        set.modify(&fd, PollFlags::IN).unwrap();
        set.modify(&fd, PollFlags::OUT | PollFlags::IN).unwrap();
    }
    assert_eq!(changes_applied_by_wait(&set), 1);
    assert_eq!(changes_applied_by_wait(&set), 0);
    assert_eq!(assert_matches_kernel(&set), [event(&fd, PollFlags::IN | PollFlags::OUT)]);
}

#[test]
fn modify_back_to_the_installed_mask_is_not_applied() {
    let fds = event_counters(20, 0);
    let set = polled_set(&fds);
    for fd in &fds {
        set.modify(fd, PollFlags::IN).unwrap();
        set.modify(fd, PollFlags::OUT).unwrap();
        set.modify(fd, PollFlags::IN).unwrap();
    }
    assert_eq!(changes_applied_by_wait(&set), 0);
    assert_eq!(assert_matches_kernel(&set), []);
}

#[test]
fn reregistering_with_the_same_mask_is_applied() {
    let mut fd = kinds::eventfd(0);
    let set = polled_set([&fd]);
    for _ in 0..20 {
        fd.open(kinds::eventfd(1).dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);
        fd.drain();
        assert_eq!(set.poll(NOW).unwrap(), []);
    }
    assert_eq!(set.stats().changes_applied, 21);
}

#[test]
fn reregistering_is_applied_even_if_a_modify_follows() {
    let mut fd = kinds::eventfd(0);
    let set = polled_set([&fd]);
    fd.open(kinds::eventfd(1).dup_file());
    set.register(&fd, PollFlags::OUT).unwrap();
    set.modify(&fd, PollFlags::IN).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);
}

#[test]
fn fd_unregistered_before_the_next_wait_is_not_applied() {
    let fd = kinds::eventfd(1);
    let other = kinds::eventfd(0);
    let set = polled_set([&other]);
    for _ in 0..10 {
        set.register(&fd, PollFlags::IN).unwrap();
        set.unregister(&fd).unwrap();
    }
    assert_eq!(changes_applied_by_wait(&set), 0);
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn unregistering_and_registering_needs_no_change_and_moves_to_the_end() {
    let fds = event_counters(20, 1);
    let set = polled_set(&fds);
    for fd in fds.iter().step_by(2) {
        set.unregister(fd).unwrap();
        set.register(fd, PollFlags::IN).unwrap();
    }
    assert_eq!(assert_matches_kernel(&set).len(), 20);
    assert_eq!(changes_applied_by_wait(&set), 0);
}

/// The kernel sets a bit of its own (`POLL_BUSY_LOOP`) in the events of such sockets, and epoll
/// reports it if the mask has it.
#[test]
fn only_flags_of_poll_are_requested() {
    let (socket, _peer) = kinds::tcp_pair();
    let microseconds: libc::c_int = 1;
    // SAFETY: the option is an int, which lives through the call.
    let outcome = unsafe {
        let size = size_of_val(&microseconds) as libc::socklen_t;
        let value = (&raw const microseconds).cast();
        libc::setsockopt(socket.number(), libc::SOL_SOCKET, libc::SO_BUSY_POLL, value, size)
    };
    if outcome != 0 {
        return eprintln!("not tested: SO_BUSY_POLL is not permitted");
    }
    let set = epoll_set();
    set.register(&socket, PollFlags::from_bits_retain(0xffff)).unwrap();
    let expected = PollFlags::OUT | PollFlags::WRNORM;
    for _ in 0..3 {
        assert_eq!(set.poll(NOW).unwrap(), [event(&socket, expected)]);
    }
}

/// An entry that stays in the instance would be found to be stale, since its file is ready.
#[test]
fn clearing_deletes_the_entries() {
    for count in [1, 9, 200] {
        let fds = event_counters(count, 1);
        let set = polled_set(&fds);
        set.clear();
        let idle = kinds::eventfd(0);
        set.register(&idle, PollFlags::IN).unwrap();
        for _ in 0..3 {
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        assert_eq!(set.stats().replaced, 0);
    }
}

/// The wait deletes them at its end.
#[test]
fn clearing_during_a_wait_deletes_the_entries() {
    let idle = event_counters(200, 0);
    let set = polled_set(&idle);
    let waker = Waker::new().unwrap();
    set.register(&waker, PollFlags::IN).unwrap();
    let events = while_waiting(&set, LONG, || {
        set.clear();
        waker.wake().unwrap();
    });
    assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
    idle.iter().for_each(Fd::increment);
    let other = kinds::eventfd(0);
    set.register(&other, PollFlags::IN).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), []);
    assert_eq!(set.stats().replaced, 0);
}
