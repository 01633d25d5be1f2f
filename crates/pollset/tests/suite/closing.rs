//! Descriptors that are closed, and numbers that are used again, behind the set's back.

use pollset::PollFlags;

use crate::util::fd::Fd;
use crate::util::kinds;
use crate::util::oracle::{assert_agrees, assert_comes_to_answer};
use crate::util::{LONG, NOW, event, set_of};

#[test]
fn a_descriptor_closed_while_registered_is_reported_as_not_open() {
    let mut fd = kinds::event_counter(0);
    let set = set_of([&fd], PollFlags::IN);
    assert_eq!(set.poll(NOW).unwrap(), []);
    fd.close();
    assert_comes_to_answer(&set, &[event(&fd, PollFlags::NVAL)]);
    assert_comes_to_answer(&set, &[event(&fd, PollFlags::NVAL)]);
}

#[test]
fn it_is_reported_until_it_is_unregistered() {
    let mut fd = kinds::event_counter(0);
    let set = set_of([&fd], PollFlags::IN);
    fd.close();
    for _ in 0..20 {
        assert_comes_to_answer(&set, &[event(&fd, PollFlags::NVAL)]);
    }
    set.unregister(&fd).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn a_number_used_again_stands_for_the_new_file() {
    let mut fd = kinds::event_counter(1);
    let set = set_of([&fd], PollFlags::IN);
    assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);

    let (reader, writer) = kinds::socket_pair();
    fd.open(reader.dup_file());
    assert_comes_to_answer(&set, &[]);
    writer.write(b"data").unwrap();
    assert_comes_to_answer(&set, &[event(&fd, PollFlags::IN)]);
}

#[test]
fn a_number_used_again_and_registered_again_is_watched() {
    let mut fd = kinds::event_counter(0);
    let set = set_of([&fd], PollFlags::IN);
    for _ in 0..20 {
        assert_eq!(set.poll(NOW).unwrap(), []);
        set.unregister(&fd).unwrap();
        fd.open(kinds::event_counter(1).dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(set.poll(LONG).unwrap(), [event(&fd, PollFlags::IN)]);
        fd.drain();
    }
}

#[test]
fn a_file_that_lives_on_under_another_number_is_no_longer_reported() {
    let mut fd = kinds::event_counter(1);
    let set = set_of([&fd], PollFlags::IN);
    assert_agrees(&set);
    let _alive = fd.dup();
    fd.close();
    assert_comes_to_answer(&set, &[event(&fd, PollFlags::NVAL)]);
    set.unregister(&fd).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn closing_one_of_two_numbers_leaves_the_other_alone() {
    let mut one = kinds::event_counter(1);
    let other = one.dup();
    let set = set_of([&one, &other], PollFlags::IN);
    assert_agrees(&set);
    one.close();
    let expected = [event(&one, PollFlags::NVAL), event(&other, PollFlags::IN)];
    assert_comes_to_answer(&set, &expected);
}

#[test]
fn a_number_registered_before_it_is_opened_is_watched_from_then_on() {
    let mut fd = Fd::closed();
    let set = set_of([&fd], PollFlags::IN);
    assert_comes_to_answer(&set, &[event(&fd, PollFlags::NVAL)]);
    fd.open(kinds::event_counter(0).dup_file());
    assert_eq!(set.poll(NOW).unwrap(), []);
    fd.increment();
    assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);
}

#[test]
fn every_one_of_many_closed_numbers_is_reported() {
    let mut fds: Vec<_> = (0..100).map(|_| kinds::event_counter(0)).collect();
    let set = set_of(&fds, PollFlags::IN);
    assert_eq!(set.poll(NOW).unwrap(), []);
    fds.iter_mut().for_each(Fd::close);
    let expected: Vec<_> = fds.iter().map(|fd| event(fd, PollFlags::NVAL)).collect();
    assert_comes_to_answer(&set, &expected);
}
