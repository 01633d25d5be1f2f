//! The descriptors that a set opens: none, or one for an epoll instance.

use pollset::PollFlags;
#[cfg(not(pollset_portable))]
use pollset::{Builder, Engine};

use crate::helpers::event_counters;
use crate::util::open_fds::open_fds;
use crate::util::process::in_own_process;
use crate::util::{NOW, is_epoll_forced, kinds, new_set, set_of};

#[test]
fn new_set_opens_no_descriptors() {
    in_own_process(|| {
        let before = open_fds();
        let set = new_set();
        assert_eq!(open_fds(), before);
        if !is_epoll_forced() {
            set.poll(NOW).unwrap();
        }
        assert_eq!(open_fds(), before);
    });
}

#[test]
#[cfg(not(pollset_portable))]
fn epoll_set_opens_one_descriptor_and_closes_it() {
    in_own_process(|| {
        let fd = kinds::eventfd(1);
        let before = open_fds();
        let set = Builder::new().engine(Some(Engine::Epoll)).build();
        set.register(&fd, PollFlags::IN).unwrap();
        for _ in 0..1_000 {
            set.poll(None).unwrap();
        }
        assert_eq!(open_fds().len(), before.len() + 1);
        drop(set);
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn small_set_opens_no_descriptors_in_many_waits() {
    if is_epoll_forced() {
        return;
    }
    in_own_process(|| {
        let (reader, writer) = kinds::pipe();
        let file = kinds::regular_file();
        let before = open_fds();
        let set = set_of([&reader, &writer, &file], PollFlags::IN);
        for _ in 0..1_000 {
            set.poll(None).unwrap();
        }
        assert_eq!(open_fds(), before);
        drop(set);
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn large_set_polled_once_opens_no_descriptors() {
    if is_epoll_forced() {
        return;
    }
    in_own_process(|| {
        let fds = event_counters(500, 1);
        let before = open_fds();
        let set = set_of(&fds, PollFlags::IN);
        assert_eq!(set.poll(NOW).unwrap().len(), 500);
        assert_eq!(open_fds(), before);
        drop(set);
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn dropping_a_set_closes_no_registered_descriptors() {
    in_own_process(|| {
        let fds = event_counters(50, 1);
        let before = open_fds();
        for _ in 0..20 {
            let set = set_of(&fds, PollFlags::IN);
            set.poll(None).unwrap();
        }
        assert_eq!(open_fds(), before);
    });
}
