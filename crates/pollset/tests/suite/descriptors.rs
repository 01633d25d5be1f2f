//! A set opens no descriptor of its own.

use std::fs::read_dir;

use pollset::{PollFlags, PollSet};

use crate::util::process::alone;
use crate::util::{NOW, kinds, set_of};

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
        let set = PollSet::new();
        assert_eq!(open_numbers(), before);
        set.poll(NOW).unwrap();
        assert_eq!(open_numbers(), before);
    });
}

#[test]
fn a_small_set_opens_none_however_often_it_is_polled() {
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
