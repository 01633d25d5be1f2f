//! The descriptors that a set opens: none, or an epoll instance once that is worth it.

use std::fs::read_dir;

use pollset::PollFlags;
#[cfg(not(pollset_portable))]
use pollset::{Builder, Engine};

use crate::util::process::alone;
use crate::util::{NOW, is_epoll_forced, kinds, new_set, set_of};

/// The numbers that are open in this process.
fn open_numbers() -> Vec<String> {
    let entries = read_dir("/proc/self/fd").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut numbers: Vec<_> = names.collect();
    numbers.sort();
    numbers
}

#[test]
fn a_new_set_opens_none() {
    alone(|| {
        let before = open_numbers();
        let set = new_set();
        assert_eq!(open_numbers(), before);
        if !is_epoll_forced() {
            set.poll(NOW).unwrap();
        }
        assert_eq!(open_numbers(), before);
    });
}

#[test]
#[cfg(not(pollset_portable))]
fn a_set_on_epoll_opens_one_and_closes_it() {
    alone(|| {
        let fd = kinds::event_counter(1);
        let before = open_numbers();
        let set = Builder::new().engine(Engine::Epoll).build();
        set.register(&fd, PollFlags::IN).unwrap();
        for _ in 0..1_000 {
            set.poll(None).unwrap();
        }
        assert_eq!(open_numbers().len(), before.len() + 1);
        drop(set);
        assert_eq!(open_numbers(), before);
    });
}

#[test]
fn a_small_set_opens_none_however_often_it_is_polled() {
    if is_epoll_forced() {
        return;
    }
    alone(|| {
        let (reader, writer) = kinds::pipe();
        let file = kinds::regular_file();
        let before = open_numbers();
        let set = set_of([&reader, &writer, &file], PollFlags::IN);
        for _ in 0..1_000 {
            set.poll(None).unwrap();
        }
        assert_eq!(open_numbers(), before);
        drop(set);
        assert_eq!(open_numbers(), before);
    });
}

#[test]
fn a_set_of_many_that_is_polled_once_opens_none() {
    if is_epoll_forced() {
        return;
    }
    alone(|| {
        let fds: Vec<_> = (0..500).map(|_| kinds::event_counter(1)).collect();
        let before = open_numbers();
        let set = set_of(&fds, PollFlags::IN);
        assert_eq!(set.poll(NOW).unwrap().len(), 500);
        assert_eq!(open_numbers(), before);
        drop(set);
        assert_eq!(open_numbers(), before);
    });
}

#[test]
fn dropping_a_set_closes_nothing() {
    alone(|| {
        let fds: Vec<_> = (0..50).map(|_| kinds::event_counter(1)).collect();
        let before = open_numbers();
        for _ in 0..20 {
            let set = set_of(&fds, PollFlags::IN);
            set.poll(None).unwrap();
        }
        assert_eq!(open_numbers(), before);
    });
}
