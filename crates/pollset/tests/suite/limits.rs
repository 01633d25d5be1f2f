//! Processes that run into their limits.

use std::io::ErrorKind;

use pollset::{Event, PollFlags, PollSet, Step, Waker};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::util::oracle::assert_agrees;
use crate::util::process::alone;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds, set_of, set_of_never_opened};

/// Lowers the soft limit on descriptors; those that are open stay open.
fn allow_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[track_caller]
fn assert_too_many(set: &PollSet) {
    for timeout in [Some(NOW), Some(LONG), None] {
        let junk = Event { fd: 7, revents: PollFlags::ERR };
        let mut events = vec![junk];
        let error = set.poll_into(&mut events, timeout).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(events, []);
    }
}

#[test]
fn as_many_as_the_limit_can_be_polled() {
    alone(|| {
        allow_descriptors(64);
        assert_eq!(assert_agrees(&set_of_never_opened(64)).len(), 64);
    });
}

#[test]
fn more_than_the_limit_is_an_error_and_the_set_stays_usable() {
    alone(|| {
        allow_descriptors(64);
        let set = set_of_never_opened(65);
        assert_too_many(&set);
        assert_eq!(set.len(), 65);
        set.unregister(NEVER_OPENED + 7).unwrap();
        assert_eq!(assert_agrees(&set).len(), 64);
        set.register(NEVER_OPENED + 7, PollFlags::IN).unwrap();
        assert_too_many(&set);
    });
}

#[test]
fn a_raised_limit_counts_from_the_next_wait() {
    alone(|| {
        let set = set_of_never_opened(100);
        allow_descriptors(64);
        assert_too_many(&set);
        allow_descriptors(100);
        assert_eq!(assert_agrees(&set).len(), 100);
    });
}

#[test]
fn what_was_unregistered_does_not_count_against_the_limit() {
    alone(|| {
        for stride in [2, 3, 5, 10] {
            let set = set_of_never_opened(100);
            assert_agrees(&set);
            for i in (0..100).step_by(stride) {
                set.unregister(NEVER_OPENED + i).unwrap();
            }
            allow_descriptors(set.len() as u64);
            assert_eq!(assert_agrees(&set).len(), set.len());
            // It must still be in order, and changeable.
            set.register(NEVER_OPENED, PollFlags::IN).unwrap();
            set.unregister(NEVER_OPENED + 1).unwrap_or_default();
            set.unregister(NEVER_OPENED + 99).unwrap_or_default();
            assert_eq!(assert_agrees(&set).len(), set.len());
            allow_descriptors(200);
        }
    });
}

#[test]
fn a_set_works_where_no_descriptor_is_to_be_had() {
    alone(|| {
        let counter = kinds::event_counter(1);
        allow_descriptors(128);
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let set = set_of([&counter], PollFlags::IN);
        for file in &hoard {
            set.register(file, PollFlags::OUT).unwrap();
        }
        let events = assert_agrees(&set);
        assert_eq!(events.len(), hoard.len() + 1);
        assert_eq!(events[0], event(&counter, PollFlags::IN));
    });
}

#[test]
fn a_waker_says_that_no_descriptor_is_to_be_had() {
    alone(|| {
        allow_descriptors(0);
        let error = Waker::new().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        allow_descriptors(64);
        Waker::new().unwrap().wake().unwrap();
    });
}

#[test]
fn what_is_unregistered_during_a_wait_does_not_count_against_the_limit() {
    alone(|| {
        let set = set_of_never_opened(200);
        allow_descriptors(150);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
        // The last ones leave no gaps.
        for i in 140..200 {
            set.unregister(NEVER_OPENED + i).unwrap();
        }
        while waiting.step().unwrap() == Step::Unfinished {}
        assert_eq!(waiting.step().unwrap(), Step::Ready(140));
        drop(waiting);
        assert_eq!(assert_agrees(&set).len(), 140);
    });
}
