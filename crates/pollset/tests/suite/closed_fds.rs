//! Descriptors that are closed, or closed and reused, while they are registered.

use pollset::PollFlags;

use crate::helpers::event_counters;
use crate::util::fd::Fd;
use crate::util::kinds;
use crate::util::oracle::{assert_eventually_reports, assert_matches_kernel};
use crate::util::{LONG, NOW, event, set_of};

#[test]
fn fd_closed_while_registered_is_reported_as_nval() {
    let mut fd = kinds::eventfd(0);
    let set = set_of([&fd], PollFlags::IN);
    assert_eq!(set.poll(NOW).unwrap(), []);
    fd.close();
    assert_eventually_reports(&set, &[event(&fd, PollFlags::NVAL)]);
    assert_eventually_reports(&set, &[event(&fd, PollFlags::NVAL)]);
}

#[test]
fn closed_fd_is_reported_until_unregistered() {
    let mut fd = kinds::eventfd(0);
    let set = set_of([&fd], PollFlags::IN);
    fd.close();
    for _ in 0..20 {
        assert_eventually_reports(&set, &[event(&fd, PollFlags::NVAL)]);
    }
    set.unregister(&fd).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn reused_fd_refers_to_the_new_file() {
    let mut fd = kinds::eventfd(1);
    let set = set_of([&fd], PollFlags::IN);
    assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);

    let (reader, writer) = kinds::socket_pair();
    fd.open(reader.dup_file());
    assert_eventually_reports(&set, &[]);
    writer.write(b"data").unwrap();
    assert_eventually_reports(&set, &[event(&fd, PollFlags::IN)]);
}

#[test]
fn reused_and_reregistered_fd_is_polled() {
    let mut fd = kinds::eventfd(0);
    let set = set_of([&fd], PollFlags::IN);
    for _ in 0..20 {
        assert_eq!(set.poll(NOW).unwrap(), []);
        set.unregister(&fd).unwrap();
        fd.open(kinds::eventfd(1).dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(set.poll(LONG).unwrap(), [event(&fd, PollFlags::IN)]);
        fd.drain();
    }
}

#[test]
fn closed_fd_of_a_file_with_a_duplicate_is_reported_as_nval() {
    let mut fd = kinds::eventfd(1);
    let set = set_of([&fd], PollFlags::IN);
    assert_matches_kernel(&set);
    let _duplicate = fd.dup();
    fd.close();
    assert_eventually_reports(&set, &[event(&fd, PollFlags::NVAL)]);
    set.unregister(&fd).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn closing_one_of_two_fds_of_a_file_does_not_affect_the_other() {
    let mut one = kinds::eventfd(1);
    let other = one.dup();
    let set = set_of([&one, &other], PollFlags::IN);
    assert_matches_kernel(&set);
    one.close();
    let expected = [event(&one, PollFlags::NVAL), event(&other, PollFlags::IN)];
    assert_eventually_reports(&set, &expected);
}

#[test]
fn fd_registered_before_it_is_opened_is_polled_once_open() {
    let mut fd = Fd::closed();
    let set = set_of([&fd], PollFlags::IN);
    assert_eventually_reports(&set, &[event(&fd, PollFlags::NVAL)]);
    fd.open(kinds::eventfd(0).dup_file());
    assert_eq!(set.poll(NOW).unwrap(), []);
    fd.increment();
    assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);
}

#[test]
fn each_of_many_closed_fds_is_reported() {
    let mut fds = event_counters(100, 0);
    let set = set_of(&fds, PollFlags::IN);
    assert_eq!(set.poll(NOW).unwrap(), []);
    fds.iter_mut().for_each(Fd::close);
    let expected: Vec<_> = fds.iter().map(|fd| event(fd, PollFlags::NVAL)).collect();
    assert_eventually_reports(&set, &expected);
}
