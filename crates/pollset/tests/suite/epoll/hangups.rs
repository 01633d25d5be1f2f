//! The audit first checks connections that their peer has shut down, since their descriptors are
//! likely to be closed soon.

use std::time::Instant;

use pollset::{Builder, Engine, PollFlags};

use super::polled_set;
use crate::util::fd::Fd;
use crate::util::kinds::{self, shut_down_writing};
use crate::util::oracle::assert_matches_kernel;
use crate::util::{NOW, event};

fn pairs(count: usize) -> Vec<(Fd, Fd)> {
    (0..count).map(|_| kinds::socket_pair()).collect()
}

#[test]
fn fd_closed_after_peer_shutdown_is_nval_at_next_wait() {
    let mut pairs = pairs(200);
    let set = polled_set(pairs.iter().map(|(near, _)| near));
    for (near, far) in &mut pairs[50..150] {
        shut_down_writing(far);
        // The mask doesn't have RDHUP.
        assert_eq!(set.poll(NOW).unwrap(), [event(near, PollFlags::IN)]);
        near.close();
        assert_eq!(set.poll(NOW).unwrap(), [event(near, PollFlags::NVAL)]);
        set.unregister(&*near).unwrap();
    }
}

#[test]
fn fd_closed_after_reading_to_eof_is_nval_at_next_wait() {
    let mut pairs = pairs(200);
    let set = polled_set(pairs.iter().map(|(near, _)| near));
    for (near, far) in &mut pairs[50..150] {
        far.write(b"last data").unwrap();
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
fn fd_closed_after_hup_is_nval_at_next_wait() {
    let mut pipes: Vec<_> = (0..200).map(|_| kinds::pipe()).collect();
    let set = polled_set(pipes.iter().map(|(reader, _)| reader));
    for (reader, writer) in &mut pipes[50..150] {
        writer.close();
        assert_eq!(set.poll(NOW).unwrap(), [event(reader, PollFlags::HUP)]);
        reader.close();
        assert_eq!(set.poll(NOW).unwrap(), [event(reader, PollFlags::NVAL)]);
        set.unregister(&*reader).unwrap();
    }
}

/// At most 32 of them are checked first in each wait.
#[test]
fn many_simultaneous_shutdowns_are_checked_in_a_few_waits() {
    let mut pairs = pairs(200);
    // Of a regular audit, more checks are due the longer the test takes.
    let set = Builder::new().engine(Some(Engine::Epoll)).relaxed_audit().build();
    for (near, _) in &pairs {
        set.register(near, PollFlags::IN).unwrap();
    }
    for (_, far) in &pairs {
        shut_down_writing(far);
    }
    assert_eq!(set.poll(NOW).unwrap().len(), 200);
    pairs.iter_mut().for_each(|(near, _)| near.close());
    let found = set.poll(NOW).unwrap().len();
    assert!((32..100).contains(&found), "{found} in the next wait");
    let waits = (1..).find(|_| set.poll(NOW).unwrap().len() == 200);
    assert!(waits <= Some(7), "{waits:?}");
}

#[test]
fn fd_that_stays_open_after_shutdown_has_priority_a_few_times() {
    let pairs = pairs(20);
    let set = polled_set(pairs.iter().map(|(near, _)| near));
    for (_, far) in &pairs {
        shut_down_writing(far);
    }
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(assert_matches_kernel(&set).len(), 20);
    }
    // Four checks with priority, and those of the regular passes.
    let passes = 4 + 2 + start.elapsed().as_millis() as u64 / 10;
    let compared = set.stats().compared;
    assert!((4 * 20..=20 * passes).contains(&compared), "{compared}");
}

#[test]
fn reused_key_does_not_inherit_priority_check() {
    let pairs = pairs(20);
    let set = polled_set(pairs.iter().map(|(near, _)| near));
    for (near, far) in &pairs {
        shut_down_writing(far);
        assert_eq!(set.poll(NOW).unwrap().len(), 1);
        set.unregister(near).unwrap();
        let idle = kinds::eventfd(0);
        set.register(&idle, PollFlags::IN).unwrap();
        assert_eq!(assert_matches_kernel(&set), []);
        set.unregister(&idle).unwrap();
    }
}
