//! Connections at their end, whose descriptors are likely to be closed, are checked first.

use std::time::Instant;

use pollset::PollFlags;

use super::asked;
use crate::util::fd::Fd;
use crate::util::kinds::{self, shut_down_writing};
use crate::util::oracle::assert_agrees;
use crate::util::{NOW, event};

fn pairs(count: usize) -> Vec<(Fd, Fd)> {
    (0..count).map(|_| kinds::socket_pair()).collect()
}

#[test]
fn what_is_closed_at_the_end_of_its_connection_is_not_open_at_the_next_wait() {
    let mut pairs = pairs(200);
    let set = asked(pairs.iter().map(|(near, _)| near));
    for (near, far) in &mut pairs[50..150] {
        shut_down_writing(far);
        assert_eq!(set.poll(NOW).unwrap(), [event(near, PollFlags::IN)], "not RDHUP: unasked");
        near.close();
        assert_eq!(set.poll(NOW).unwrap(), [event(near, PollFlags::NVAL)]);
        set.unregister(&*near).unwrap();
    }
}

#[test]
fn also_if_it_is_read_to_its_end_first() {
    let mut pairs = pairs(200);
    let set = asked(pairs.iter().map(|(near, _)| near));
    for (near, far) in &mut pairs[50..150] {
        far.write(b"the last words").unwrap();
        shut_down_writing(far);
        for _ in 0..2 {
            assert_eq!(set.poll(NOW).unwrap(), [event(near, PollFlags::IN)]);
            near.drain();
        }
        near.close();
        assert_eq!(set.poll(NOW).unwrap(), [event(near, PollFlags::NVAL)]);
        set.unregister(&*near).unwrap();
    }
}

#[test]
fn what_is_closed_after_it_was_hung_up_is_not_open_at_the_next_wait() {
    let mut pipes: Vec<_> = (0..200).map(|_| kinds::pipe()).collect();
    let set = asked(pipes.iter().map(|(reader, _)| reader));
    for (reader, writer) in &mut pipes[50..150] {
        writer.close();
        assert_eq!(set.poll(NOW).unwrap(), [event(reader, PollFlags::HUP)]);
        reader.close();
        assert_eq!(set.poll(NOW).unwrap(), [event(reader, PollFlags::NVAL)]);
        set.unregister(&*reader).unwrap();
    }
}

/// 32 of them at the next wait, 32 at the one after it.
#[test]
fn many_that_end_together_are_checked_in_a_few_waits() {
    let mut pairs = pairs(200);
    let set = asked(pairs.iter().map(|(near, _)| near));
    for (_, far) in &pairs {
        shut_down_writing(far);
    }
    assert_eq!(set.poll(NOW).unwrap().len(), 200);
    pairs.iter_mut().for_each(|(near, _)| near.close());
    let at_once = set.poll(NOW).unwrap().len();
    assert!((32..150).contains(&at_once), "{at_once}");
    let waits = (1..).find(|_| set.poll(NOW).unwrap().len() == 200);
    assert!(waits <= Some(7), "{waits:?}");
}

#[test]
fn what_stays_open_at_its_end_is_checked_first_a_few_times() {
    let pairs = pairs(20);
    let set = asked(pairs.iter().map(|(near, _)| near));
    for (_, far) in &pairs {
        shut_down_writing(far);
    }
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(assert_agrees(&set).len(), 20);
    }
    // Four times, and as often as all others.
    let passes = 4 + 2 + start.elapsed().as_millis() as u64 / 10;
    let compared = set.stats().compared;
    assert!((4 * 20..=20 * passes).contains(&compared), "{compared}");
}

#[test]
fn the_key_of_one_that_is_gone_is_not_taken_for_its_successor() {
    let pairs = pairs(20);
    let set = asked(pairs.iter().map(|(near, _)| near));
    for (near, far) in &pairs {
        shut_down_writing(far);
        assert_eq!(set.poll(NOW).unwrap().len(), 1);
        set.unregister(near).unwrap();
        let idle = kinds::event_counter(0);
        set.register(&idle, PollFlags::IN).unwrap();
        assert_eq!(assert_agrees(&set), []);
        set.unregister(&idle).unwrap();
    }
}
