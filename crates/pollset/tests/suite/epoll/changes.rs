//! What the kernel is told of changes.

use pollset::{PollFlags, PollSet};

use super::{asked, on_epoll};
use crate::util::oracle::assert_agrees;
use crate::util::{NOW, event, kinds};

/// How many changes a wait applies.
fn applied_by_a_wait(set: &PollSet) -> u64 {
    let before = set.stats().changes_applied;
    set.poll(NOW).unwrap();
    set.stats().changes_applied - before
}

#[test]
fn any_number_of_changes_of_one_descriptor_is_one() {
    let fd = kinds::event_counter(1);
    let set = on_epoll();
    for _ in 0..100 {
        set.register(&fd, PollFlags::IN).unwrap();
        set.modify(&fd, PollFlags::OUT).unwrap();
    }
    assert_eq!(applied_by_a_wait(&set), 1);
    for _ in 0..100 {
        set.modify(&fd, PollFlags::IN).unwrap();
        set.modify(&fd, PollFlags::OUT | PollFlags::IN).unwrap();
    }
    assert_eq!(applied_by_a_wait(&set), 1);
    assert_eq!(applied_by_a_wait(&set), 0);
    assert_eq!(assert_agrees(&set), [event(&fd, PollFlags::IN | PollFlags::OUT)]);
}

#[test]
fn a_modify_that_ends_where_it_began_is_none() {
    let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
    let set = asked(&fds);
    for fd in &fds {
        set.modify(fd, PollFlags::IN).unwrap();
        set.modify(fd, PollFlags::OUT).unwrap();
        set.modify(fd, PollFlags::IN).unwrap();
    }
    assert_eq!(applied_by_a_wait(&set), 0);
    assert_eq!(assert_agrees(&set), []);
}

#[test]
fn a_register_with_the_same_mask_is_news() {
    let mut fd = kinds::event_counter(0);
    let set = asked([&fd]);
    for _ in 0..20 {
        fd.open(kinds::event_counter(1).dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);
        fd.drain();
        assert_eq!(set.poll(NOW).unwrap(), []);
    }
    assert_eq!(set.stats().changes_applied, 21);
}

#[test]
fn a_register_is_news_even_if_a_modify_follows() {
    let mut fd = kinds::event_counter(0);
    let set = asked([&fd]);
    fd.open(kinds::event_counter(1).dup_file());
    set.register(&fd, PollFlags::OUT).unwrap();
    set.modify(&fd, PollFlags::IN).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);
}

#[test]
fn what_is_unregistered_before_the_next_wait_is_never_told() {
    let fd = kinds::event_counter(1);
    let other = kinds::event_counter(0);
    let set = asked([&other]);
    for _ in 0..10 {
        set.register(&fd, PollFlags::IN).unwrap();
        set.unregister(&fd).unwrap();
    }
    assert_eq!(applied_by_a_wait(&set), 0);
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn unregistering_and_registering_again_keeps_it_watched_and_moves_it_to_the_end() {
    let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(1)).collect();
    let set = asked(&fds);
    for fd in fds.iter().step_by(2) {
        set.unregister(fd).unwrap();
        set.register(fd, PollFlags::IN).unwrap();
    }
    assert_eq!(assert_agrees(&set).len(), 20);
    assert_eq!(applied_by_a_wait(&set), 0);
}

/// The kernel marks the answers of such sockets with a bit of its own, and epoll shows it to those
/// who ask for it.
#[test]
fn nothing_is_asked_for_that_poll_does_not_know() {
    let (socket, _peer) = kinds::tcp_pair();
    let microseconds: libc::c_int = 1;
    // SAFETY: the option is an int, which lives through the call.
    let outcome = unsafe {
        let size = size_of_val(&microseconds) as libc::socklen_t;
        let value = (&raw const microseconds).cast();
        libc::setsockopt(socket.number(), libc::SOL_SOCKET, libc::SO_BUSY_POLL, value, size)
    };
    if outcome != 0 {
        return eprintln!("not tested: polling busily is not allowed");
    }
    let set = on_epoll();
    set.register(&socket, PollFlags::from_bits_retain(0xffff)).unwrap();
    let expected = PollFlags::OUT | PollFlags::WRNORM;
    for _ in 0..3 {
        assert_eq!(set.poll(NOW).unwrap(), [event(&socket, expected)]);
    }
}
