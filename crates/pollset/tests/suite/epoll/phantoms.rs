//! Files that live on after their registered number was closed.

use std::time::{Duration, Instant};

use pollset::{Engine, PollFlags, PollSet, Step};

use super::asked;
use crate::util::fd::Fd;
use crate::util::oracle::{assert_agrees, assert_answers_for};
use crate::util::process::{Child, alone};
use crate::util::{LONG, NOW, event, kinds};

/// Nothing is reported, waits last, and no more instances are replaced.
#[track_caller]
fn assert_quiet(set: &PollSet) {
    let timeout = Duration::from_millis(30);
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
fn a_phantom_is_not_reported_once_it_is_unregistered() {
    let mut fd = kinds::event_counter(1);
    let other = kinds::event_counter(0);
    let set = asked([&fd, &other]);
    let _alive = fd.dup();
    fd.close();
    set.unregister(&fd).unwrap();
    assert_quiet(&set);
    assert_eq!(set.stats().replaced, 1);
    other.increment();
    assert_eq!(assert_agrees(&set), [event(&other, PollFlags::IN)]);
}

#[test]
fn a_phantom_that_becomes_ready_during_the_wait_does_not_end_it() {
    let mut fd = kinds::event_counter(0);
    let other = kinds::event_counter(0);
    let set = asked([&fd, &other]);
    let alive = fd.dup();
    fd.close();
    set.unregister(&fd).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            alive.increment();
            std::thread::sleep(Duration::from_millis(20));
            other.increment();
        });
        assert_eq!(set.poll(None).unwrap(), [event(&other, PollFlags::IN)]);
    });
    other.drain();
    assert_quiet(&set);
    assert!(set.stats().replaced <= 1);
}

#[test]
fn a_phantom_that_is_still_registered_is_reported_as_not_open_in_the_end() {
    let mut fd = kinds::event_counter(1);
    let set = asked([&fd]);
    let _alive = fd.dup();
    fd.close();
    let start = Instant::now();
    while set.poll(NOW).unwrap() != [event(&fd, PollFlags::NVAL)] {
        assert!(start.elapsed() < LONG);
    }
    for _ in 0..100 {
        assert_eq!(set.poll(LONG).unwrap(), [event(&fd, PollFlags::NVAL)]);
    }
    assert!(set.stats().replaced <= 1);
    set.unregister(&fd).unwrap();
    assert_quiet(&set);
    assert!(set.stats().replaced <= 1);
}

#[test]
fn each_of_many_phantoms_costs_one_instance_at_most() {
    let mut fds: Vec<_> = (0..100).map(|_| kinds::event_counter(1)).collect();
    let ready = kinds::event_counter(1);
    let set = asked(fds.iter().chain([&ready]));
    let alive: Vec<_> = fds.iter().map(Fd::dup).collect();
    fds.iter_mut().for_each(Fd::close);
    for fd in &fds {
        set.unregister(fd).unwrap();
        assert_eq!(set.poll(NOW).unwrap().last(), Some(&event(&ready, PollFlags::IN)));
    }
    assert!(set.stats().replaced <= 100);
    assert_eq!(assert_agrees(&set), [event(&ready, PollFlags::IN)]);
    ready.drain();
    assert_quiet(&set);
    drop(alive);
}

#[test]
fn the_step_that_replaces_the_instance_is_not_short() {
    let mut fd = kinds::event_counter(1);
    let others: Vec<_> = (0..130).map(|_| kinds::event_counter(0)).collect();
    let set = asked(others.iter().chain([&fd]));
    let _alive = fd.dup();
    fd.close();
    set.unregister(&fd).unwrap();
    let mut waiting = set.start(NOW).unwrap();
    assert!(waiting.is_short());
    assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    assert!(!waiting.is_short());
    assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    assert_eq!(waiting.step().unwrap(), Step::Ready(0));
}

/// Its number means a file now that the instance must not ask.
#[test]
fn what_is_reused_when_the_instance_is_replaced_is_looked_at() {
    let Ok(record) = kinds::record() else { return eprintln!("not tested: no perf events") };
    let (mut phantom, mut reused) = (kinds::event_counter(1), kinds::event_counter(0));
    let set = asked([&phantom, &reused]);
    let _alive = phantom.dup();
    phantom.close();
    set.unregister(&phantom).unwrap();
    reused.open(record.fd.dup_file());
    record.add();
    assert_eq!(set.poll(LONG).unwrap(), [event(&reused, PollFlags::IN)]);
    assert_eq!(set.stats().replaced, 1);
}

#[test]
fn the_new_file_of_a_phantoms_number_is_watched() {
    for count in [0, 1] {
        let mut fd = kinds::event_counter(count);
        let set = asked([&fd]);
        let alive = fd.dup();
        fd.close();
        set.unregister(&fd).unwrap();
        fd.open(kinds::event_counter(0).dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(assert_agrees(&set), []);
        alive.increment();
        assert_quiet(&set);
        fd.increment();
        assert_eq!(assert_agrees(&set), [event(&fd, PollFlags::IN)]);
        assert!(set.stats().replaced <= 1);
    }
}

#[test]
fn a_number_registered_again_without_unregistering_is_not_mixed_up_with_its_phantom() {
    let mut fd = kinds::event_counter(1);
    let set = asked([&fd]);
    let _alive = fd.dup();
    fd.open(kinds::event_counter(0).dup_file());
    set.register(&fd, PollFlags::IN).unwrap();
    assert_eq!(assert_agrees(&set), []);
    assert_quiet(&set);
    assert!(set.stats().replaced <= 1);
    fd.increment();
    assert_eq!(assert_agrees(&set), [event(&fd, PollFlags::IN)]);
}

#[test]
fn a_number_found_to_be_used_again_is_not_mixed_up_with_its_phantom() {
    for reused in [0, 1] {
        let mut fds = [kinds::event_counter(0), kinds::event_counter(0)];
        let set = asked(&fds);
        let fd = &mut fds[reused];
        let alive = [(); 2].map(|()| {
            let alive = fd.dup();
            fd.open(kinds::event_counter(1).dup_file());
            let start = Instant::now();
            while set.poll(NOW).unwrap() != [event(fd, PollFlags::IN)] {
                assert!(start.elapsed() < LONG);
            }
            fd.drain();
            alive
        });
        alive.iter().for_each(Fd::increment);
        assert_quiet(&set);
        assert_eq!((set.stats().replaced, set.stats().refused), (1, 0));
        fd.increment();
        assert_eq!(assert_agrees(&set), [event(fd, PollFlags::IN)]);
    }
}

#[test]
fn a_file_put_back_on_its_number_is_watched_again() {
    let (mut fd, other) = (kinds::event_counter(1), kinds::event_counter(0));
    let set = asked([&fd, &other]);
    let alive = fd.dup();
    for _ in 0..10 {
        fd.close();
        set.unregister(&fd).unwrap();
        fd.open(alive.dup_file());
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(assert_agrees(&set), [event(&fd, PollFlags::IN)]);
    }
    assert_eq!(set.stats().replaced, 0);
}

#[test]
fn a_file_that_lives_on_in_a_child_is_a_phantom_too() {
    alone(|| {
        let (mut fd, peer) = kinds::socket_pair();
        let other = kinds::event_counter(0);
        let (wait, end) = kinds::pipe();
        let set = asked([&fd, &other]);
        let child = Child::run(|| drop(asked([&wait]).poll(LONG).unwrap()));
        fd.close();
        peer.write(b"data").unwrap();
        set.unregister(&fd).unwrap();
        assert_quiet(&set);
        assert_eq!(set.stats().replaced, 1);
        other.increment();
        let registered = [(other.number(), PollFlags::IN)];
        assert_eq!(assert_answers_for(&set, &registered), [event(&other, PollFlags::IN)]);
        end.write(b"end").unwrap();
        child.join();
    });
}
