//! The limit on descriptors (`RLIMIT_NOFILE`).

use std::io::ErrorKind;

use pollset::{Event, PollFlags, PollSet, Step, Waker};

use crate::helpers::use_up_descriptors;
use crate::util::limit::set_fd_limit;
use crate::util::oracle::assert_matches_kernel;
use crate::util::process::in_own_process;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds, set_of, set_of_never_opened};

#[track_caller]
fn assert_too_many(set: &PollSet) {
    for timeout in [Some(NOW), Some(LONG), None] {
        let mut events = vec![Event { fd: 7, revents: PollFlags::ERR }];
        let error = set.poll_into(&mut events, timeout).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(events, []);
    }
}

#[test]
fn rlimit_nofile_descriptors_can_be_polled() {
    in_own_process(|| {
        set_fd_limit(64);
        assert_eq!(assert_matches_kernel(&set_of_never_opened(64)).len(), 64);
    });
}

#[test]
fn more_descriptors_than_the_limit_is_einval_and_set_stays_usable() {
    in_own_process(|| {
        set_fd_limit(64);
        let set = set_of_never_opened(65);
        assert_too_many(&set);
        assert_eq!(set.len(), 65);
        set.unregister(NEVER_OPENED + 7).unwrap();
        assert_eq!(assert_matches_kernel(&set).len(), 64);
        set.register(NEVER_OPENED + 7, PollFlags::IN).unwrap();
        assert_too_many(&set);
    });
}

#[test]
fn raised_limit_takes_effect_at_next_wait() {
    in_own_process(|| {
        let set = set_of_never_opened(100);
        set_fd_limit(64);
        assert_too_many(&set);
        set_fd_limit(100);
        assert_eq!(assert_matches_kernel(&set).len(), 100);
    });
}

#[test]
fn unregistered_descriptors_do_not_count_against_the_limit() {
    in_own_process(|| {
        for stride in [2, 3, 5, 10] {
            let set = set_of_never_opened(100);
            assert_matches_kernel(&set);
            for i in (0..100).step_by(stride) {
                set.unregister(NEVER_OPENED + i).unwrap();
            }
            set_fd_limit(set.len() as u64);
            assert_eq!(assert_matches_kernel(&set).len(), set.len());
            // The order is kept, and changes still work. The last two may be unregistered already.
            set.register(NEVER_OPENED, PollFlags::IN).unwrap();
            let _ = set.unregister(NEVER_OPENED + 1);
            let _ = set.unregister(NEVER_OPENED + 99);
            assert_eq!(assert_matches_kernel(&set).len(), set.len());
            set_fd_limit(200);
        }
    });
}

#[test]
fn set_works_when_no_descriptors_are_left() {
    in_own_process(|| {
        let counter = kinds::eventfd(1);
        set_fd_limit(128);
        let files = use_up_descriptors();
        let set = set_of([&counter], PollFlags::IN);
        for file in &files {
            set.register(file, PollFlags::OUT).unwrap();
        }
        let events = assert_matches_kernel(&set);
        assert_eq!(events.len(), files.len() + 1);
        assert_eq!(events[0], event(&counter, PollFlags::IN));
    });
}

#[test]
fn new_waker_is_emfile_when_no_descriptors_are_left() {
    in_own_process(|| {
        set_fd_limit(0);
        let error = Waker::new().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        set_fd_limit(64);
        Waker::new().unwrap().wake().unwrap();
    });
}

#[test]
fn descriptors_unregistered_during_wait_do_not_count_against_the_limit() {
    in_own_process(|| {
        let set = set_of_never_opened(200);
        set_fd_limit(150);
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
        // The last registrations leave no gaps.
        for i in 140..200 {
            set.unregister(NEVER_OPENED + i).unwrap();
        }
        while waiting.step().unwrap() == Step::Unfinished {}
        assert_eq!(waiting.step().unwrap(), Step::Ready(140));
        drop(waiting);
        assert_eq!(assert_matches_kernel(&set).len(), 140);
    });
}
