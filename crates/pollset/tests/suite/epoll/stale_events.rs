//! Stale events: those of files that stay open elsewhere after their registered descriptor was
//! closed, and that epoll still reports.

use std::time::Instant;

use pollset::{Engine, PollFlags, PollSet, Step};

use super::{poll_until, polled_set};
use crate::helpers::{MILLISECOND, event_counters};
use crate::util::fd::Fd;
use crate::util::open_fds::epoll_instances;
use crate::util::oracle::{assert_matches_kernel, assert_matches_kernel_for};
use crate::util::process::{Child, in_own_process};
use crate::util::{LONG, NOW, event, kinds};

/// Nothing is reported, waits last until their timeout, and the instance is not replaced again.
#[track_caller]
fn assert_quiet(set: &PollSet) {
    let timeout = 30 * MILLISECOND;
    for _ in 0..3 {
        assert_eq!(set.poll(NOW).unwrap(), []);
        let before = set.stats();
        let start = Instant::now();
        assert_eq!(set.poll(timeout).unwrap(), []);
        assert!(start.elapsed() >= timeout);
        let after = set.stats();
        assert_eq!(after.replaced, before.replaced);
        assert_eq!(after.last_engine, Some(Engine::Epoll));
    }
}

#[test]
fn stale_event_of_an_unregistered_fd_is_not_reported() {
    let mut fd = kinds::eventfd(1);
    let other = kinds::eventfd(0);
    let set = polled_set([&fd, &other]);
    let _duplicate = fd.dup();
    fd.close();
    set.unregister(&fd).unwrap();
    assert_quiet(&set);
    assert_eq!(set.stats().replaced, 1);
    other.increment();
    assert_eq!(assert_matches_kernel(&set), [event(&other, PollFlags::IN)]);
}

#[test]
fn stale_event_during_wait_does_not_end_it() {
    let mut fd = kinds::eventfd(0);
    let other = kinds::eventfd(0);
    let set = polled_set([&fd, &other]);
    let duplicate = fd.dup();
    fd.close();
    set.unregister(&fd).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(20 * MILLISECOND);
            duplicate.increment();
            std::thread::sleep(20 * MILLISECOND);
            other.increment();
        });
        assert_eq!(set.poll(None).unwrap(), [event(&other, PollFlags::IN)]);
    });
    other.drain();
    assert_quiet(&set);
    assert!(set.stats().replaced <= 1);
}

#[test]
fn closed_fd_with_stale_events_is_eventually_reported_as_nval() {
    let mut fd = kinds::eventfd(1);
    let set = polled_set([&fd]);
    let _duplicate = fd.dup();
    fd.close();
    poll_until(&set, |events| events == [event(&fd, PollFlags::NVAL)]);
    for _ in 0..100 {
        assert_eq!(set.poll(LONG).unwrap(), [event(&fd, PollFlags::NVAL)]);
    }
    assert!(set.stats().replaced <= 1);
    set.unregister(&fd).unwrap();
    assert_quiet(&set);
    assert!(set.stats().replaced <= 1);
}

#[test]
fn each_stale_entry_replaces_the_instance_at_most_once() {
    let mut fds = event_counters(100, 1);
    let ready = kinds::eventfd(1);
    let set = polled_set(fds.iter().chain([&ready]));
    let duplicates: Vec<_> = fds.iter().map(Fd::dup).collect();
    fds.iter_mut().for_each(Fd::close);
    for fd in &fds {
        set.unregister(fd).unwrap();
        assert_eq!(set.poll(NOW).unwrap().last(), Some(&event(&ready, PollFlags::IN)));
    }
    assert!(set.stats().replaced <= 100);
    assert_eq!(assert_matches_kernel(&set), [event(&ready, PollFlags::IN)]);
    ready.drain();
    assert_quiet(&set);
    drop(duplicates);
}

#[test]
fn child_forked_before_the_instance_is_replaced_leaks_none() {
    in_own_process(|| {
        let mut fd = kinds::eventfd(1);
        let other = kinds::eventfd(1);
        let set = polled_set([&fd, &other]);
        let _duplicate = fd.dup();
        fd.close();
        set.unregister(&fd).unwrap();
        let mut waiting = set.start(NOW).unwrap();
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
        Child::run(|| {
            let before = epoll_instances();
            while waiting.step().unwrap() != Step::Ready(1) {}
            drop(waiting);
            assert_eq!(epoll_instances(), before);
            assert_eq!(assert_matches_kernel(&set), [event(&other, PollFlags::IN)]);
        })
        .join();
    });
}

#[test]
fn step_that_replaces_the_instance_is_not_short() {
    let mut fd = kinds::eventfd(1);
    let others = event_counters(130, 0);
    let set = polled_set(others.iter().chain([&fd]));
    let _duplicate = fd.dup();
    fd.close();
    set.unregister(&fd).unwrap();
    let mut waiting = set.start(NOW).unwrap();
    assert!(waiting.is_short());
    assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    assert!(!waiting.is_short());
    assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    assert_eq!(waiting.step().unwrap(), Step::Ready(0));
}

/// Its descriptor refers to a file now whose event epoll would clear by polling it.
#[test]
fn fd_reused_before_the_instance_is_replaced_is_classified_again() {
    let Ok(record) = kinds::perf_event() else { return eprintln!("not tested: no perf events") };
    let (mut stale, mut reused) = (kinds::eventfd(1), kinds::eventfd(0));
    let set = polled_set([&stale, &reused]);
    let _duplicate = stale.dup();
    stale.close();
    set.unregister(&stale).unwrap();
    reused.open(record.fd.dup_file());
    record.add();
    assert_eq!(set.poll(LONG).unwrap(), [event(&reused, PollFlags::IN)]);
    assert_eq!(set.stats().replaced, 1);
}

#[test]
fn new_file_on_the_fd_of_a_stale_entry_is_polled() {
    for count in [0, 1] {
        let mut fd = kinds::eventfd(count);
        let set = polled_set([&fd]);
        let duplicate = fd.dup();
        fd.close();
        set.unregister(&fd).unwrap();
        fd.open(kinds::eventfd(0).dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(assert_matches_kernel(&set), []);
        duplicate.increment();
        assert_quiet(&set);
        fd.increment();
        assert_eq!(assert_matches_kernel(&set), [event(&fd, PollFlags::IN)]);
        assert!(set.stats().replaced <= 1);
    }
}

#[test]
fn reregistered_fd_does_not_report_its_stale_events() {
    let mut fd = kinds::eventfd(1);
    let set = polled_set([&fd]);
    let _duplicate = fd.dup();
    fd.open(kinds::eventfd(0).dup_file());
    set.register(&fd, PollFlags::IN).unwrap();
    assert_eq!(assert_matches_kernel(&set), []);
    assert_quiet(&set);
    assert!(set.stats().replaced <= 1);
    fd.increment();
    assert_eq!(assert_matches_kernel(&set), [event(&fd, PollFlags::IN)]);
}

#[test]
fn reused_fd_found_by_the_audit_does_not_report_its_stale_events() {
    for reused in [0, 1] {
        let mut fds = [kinds::eventfd(0), kinds::eventfd(0)];
        let set = polled_set(&fds);
        let fd = &mut fds[reused];
        let duplicates = [(); 2].map(|()| {
            let duplicate = fd.dup();
            fd.open(kinds::eventfd(1).dup_file());
            poll_until(&set, |events| events == [event(fd, PollFlags::IN)]);
            fd.drain();
            duplicate
        });
        duplicates.iter().for_each(Fd::increment);
        assert_quiet(&set);
        assert_eq!((set.stats().replaced, set.stats().refused), (1, 0));
        fd.increment();
        assert_eq!(assert_matches_kernel(&set), [event(fd, PollFlags::IN)]);
    }
}

#[test]
fn file_put_back_on_its_fd_is_polled_again() {
    let (mut fd, other) = (kinds::eventfd(1), kinds::eventfd(0));
    let set = polled_set([&fd, &other]);
    let duplicate = fd.dup();
    for _ in 0..10 {
        fd.close();
        set.unregister(&fd).unwrap();
        fd.open(duplicate.dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(assert_matches_kernel(&set), [event(&fd, PollFlags::IN)]);
    }
    assert_eq!(set.stats().replaced, 0);
}

#[test]
fn file_kept_open_by_a_child_causes_stale_events() {
    in_own_process(|| {
        let (mut fd, peer) = kinds::socket_pair();
        let other = kinds::eventfd(0);
        let (wait, end) = kinds::pipe();
        let set = polled_set([&fd, &other]);
        let child = Child::run(|| drop(polled_set([&wait]).poll(LONG).unwrap()));
        fd.close();
        peer.write(b"data").unwrap();
        set.unregister(&fd).unwrap();
        assert_quiet(&set);
        assert_eq!(set.stats().replaced, 1);
        other.increment();
        let registered = [(other.number(), PollFlags::IN)];
        assert_eq!(assert_matches_kernel_for(&set, &registered), [event(&other, PollFlags::IN)]);
        end.write(b"end").unwrap();
        child.join();
    });
}
