//! Changes by other threads while one waits on epoll.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pollset::{Engine, PollFlags};

use super::{entries, installed_fds, instance_fd, owned_counters, polled_set};
use crate::helpers::{event_counters, set_with_engine};
use crate::util::number::enough_fds_for;
use crate::util::oracle::assert_matches_kernel;
use crate::util::process::{in_own_process, slowness};
use crate::util::wait::while_waiting;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds};

#[test]
fn fds_unregistered_during_wait_lose_their_entries_at_its_end() {
    in_own_process(|| {
        let end = kinds::eventfd(0);
        let fds = event_counters(20, 0);
        let set = polled_set(fds.iter().chain([&end]));
        let instance = instance_fd();
        let events = while_waiting(&set, LONG, || {
            for fd in &fds {
                set.unregister(fd).unwrap();
                assert!(installed_fds(instance).contains(&fd.number()));
            }
            end.increment();
        });
        assert_eq!(events.unwrap(), [event(&end, PollFlags::IN)]);
        assert_eq!(installed_fds(instance), [end.number()]);
        assert_eq!(assert_matches_kernel(&set), [event(&end, PollFlags::IN)]);
    });
}

#[test]
fn fd_unregistered_between_waits_loses_its_entry_at_once() {
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let set = polled_set(&fds);
        let instance = instance_fd();
        for (count, fd) in fds.iter().enumerate() {
            set.unregister(fd).unwrap();
            assert_eq!(installed_fds(instance).len(), 19 - count);
        }
    });
}

#[test]
fn fd_unregistered_before_the_first_step_of_a_wait_loses_its_entry_when_that_is_dropped() {
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let set = polled_set(&fds);
        let instance = instance_fd();
        let waiting = set.start(NOW).unwrap();
        set.unregister(&fds[7]).unwrap();
        assert_eq!(installed_fds(instance).len(), 20);
        drop(waiting);
        assert_eq!(installed_fds(instance).len(), 19);
    });
}

/// As with poll(2), for which the kernel has a copy of the array.
#[test]
fn wait_in_progress_reports_an_fd_that_is_unregistered_and_registered_meanwhile() {
    let (end, fd) = (kinds::eventfd(0), kinds::eventfd(0));
    let idle = event_counters(20, 0);
    for engine in [Engine::Poll, Engine::Epoll] {
        let set = set_with_engine(engine, idle.iter().chain([&end, &fd]));
        set.poll(NOW).unwrap();
        // A slow machine may let the end come first.
        let is_reported = (0..5).any(|_| {
            let events = while_waiting(&set, LONG, || {
                set.unregister(&fd).unwrap();
                set.register(&fd, PollFlags::IN).unwrap();
                fd.increment();
                thread::sleep(Duration::from_millis(100));
                end.increment();
            });
            end.drain();
            fd.drain();
            events.unwrap() == [event(&fd, PollFlags::IN)]
        });
        assert!(is_reported, "{engine:?}");
    }
}

/// A duplicate keeps the file open, so an entry that was left would report events.
#[test]
fn fds_unregistered_during_wait_and_closed_after_it_leave_no_entries() {
    let end = kinds::eventfd(0);
    let mut fds = event_counters(20, 0);
    let set = polled_set(fds.iter().chain([&end]));
    let events = while_waiting(&set, LONG, || {
        for fd in &fds {
            set.unregister(fd).unwrap();
        }
        end.increment();
    });
    assert_eq!(events.unwrap(), [event(&end, PollFlags::IN)]);
    let duplicates: Vec<_> = fds.iter().map(|fd| fd.dup()).collect();
    for fd in &mut fds {
        fd.increment();
        fd.close();
    }
    for _ in 0..3 {
        assert_eq!(assert_matches_kernel(&set), [event(&end, PollFlags::IN)]);
    }
    assert_eq!(set.stats().replaced, 0);
    drop(duplicates);
}

#[test]
fn fds_unregistered_and_registered_during_wait_are_polled() {
    let end = kinds::eventfd(0);
    let fds = event_counters(20, 0);
    let set = polled_set(fds.iter().chain([&end]));
    for _ in 0..20 {
        let events = while_waiting(&set, LONG, || {
            for fd in &fds {
                set.unregister(fd).unwrap();
                set.register(fd, PollFlags::IN).unwrap();
            }
            end.increment();
        });
        assert_eq!(events.unwrap(), [event(&end, PollFlags::IN)]);
        end.drain();
        fds.iter().for_each(|fd| fd.increment());
        assert_eq!(assert_matches_kernel(&set).len(), 20);
        fds.iter().for_each(|fd| fd.drain());
    }
}

#[test]
fn fd_reused_during_wait_is_polled_at_next_wait() {
    let end = kinds::eventfd(0);
    let mut fd = kinds::eventfd(0);
    let set = polled_set([&fd, &end]);
    for _ in 0..20 {
        let events = while_waiting(&set, LONG, || {
            set.unregister(&fd).unwrap();
            fd.open(kinds::eventfd(1).dup_file());
            set.register(&fd, PollFlags::IN).unwrap();
            end.increment();
        });
        assert!(!events.unwrap().is_empty());
        end.drain();
        assert_eq!(assert_matches_kernel(&set), [event(&fd, PollFlags::IN)]);
        fd.drain();
    }
}

#[test]
fn reregistering_at_any_moment_of_a_wait_keeps_it_polled() {
    // With one processor, a thread that spins would delay the other one by a time slice.
    let has_several = thread::available_parallelism().unwrap().get() > 1;
    let (rounds, pause): (u64, fn()) =
        if has_several { (30_000, std::hint::spin_loop) } else { (300, thread::yield_now) };
    let rounds = rounds / u64::from(slowness());
    let fd = kinds::eventfd(1);
    let idle = event_counters(12, 0);
    let set = polled_set(idle.iter().chain([&fd]));
    let waits = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let missed = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds {
                set.unregister(&fd).unwrap();
                set.register(&fd, PollFlags::IN).unwrap();
                // Until the wait in progress has ended, and one that began after the change.
                let before = waits.load(Ordering::SeqCst);
                while waits.load(Ordering::SeqCst) < before + 2 {
                    pause();
                }
                missed.store(0, Ordering::SeqCst);
                while waits.load(Ordering::SeqCst) < before + 4 {
                    pause();
                }
                if missed.load(Ordering::SeqCst) > 0 {
                    break;
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            if set.poll(NOW).unwrap().is_empty() {
                missed.fetch_add(1, Ordering::SeqCst);
            }
            waits.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert_eq!(missed.load(Ordering::SeqCst), 0, "waits that missed a ready descriptor");
}

#[test]
fn concurrent_unregisters_remove_their_entries() {
    let rounds = 6_000 / slowness();
    in_own_process(|| {
        let fds = owned_counters(40);
        let set = polled_set(&fds);
        let instance = instance_fd();
        let mut late = 0; // rounds after which entries were left
        for _ in 0..rounds {
            let start = Barrier::new(2);
            thread::scope(|scope| {
                for half in [&fds[..20], &fds[20..]] {
                    let (set, start) = (&set, &start);
                    scope.spawn(move || {
                        start.wait();
                        half.iter().for_each(|fd| set.unregister(fd).unwrap());
                    });
                }
            });
            late += u32::from(!entries(instance).is_empty());
            fds.iter().for_each(|fd| set.register(fd, PollFlags::IN).unwrap());
            set.poll(NOW).unwrap();
        }
        assert_eq!(late, 0, "of {rounds} rounds");
    });
}

/// While the first wait installs the entries, other threads unregister descriptors: those that have an
/// entry, and those that get one later.
#[test]
fn fds_unregistered_while_an_instance_is_filled_leave_no_entries() {
    const COUNT: usize = 3_000;
    const ROUNDS: u64 = 100;
    if !enough_fds_for(COUNT) {
        return;
    }
    in_own_process(|| {
        let fds = event_counters(COUNT, 0);
        for round in 0..ROUNDS {
            let set = set_with_engine(Engine::Epoll, &fds);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut random = fastrand::Rng::with_seed(round);
                    start.wait();
                    for _ in 0..COUNT / 3 {
                        // Fails if it has chosen the same one before.
                        let _ = set.unregister(&fds[random.usize(..COUNT)]);
                    }
                });
                start.wait();
                assert_eq!(set.poll(NOW).unwrap(), []);
            });
            let mut registered: Vec<_> = set.iter().map(|(fd, _)| fd).collect();
            registered.sort();
            assert_eq!(installed_fds(instance_fd()), registered, "round {round}");
        }
    });
}

/// The first wait copies the registrations, and installs the entries of the copy.
#[test]
fn changes_while_an_instance_is_filled_are_not_lost() {
    let (idle, ready) = (kinds::eventfd(0), kinds::eventfd(1));
    for round in 0..5_000_u32 {
        let set = set_with_engine(Engine::Epoll, [&idle, &ready]);
        let started = AtomicBool::new(false);
        let spin = |turns| (0..turns).for_each(|_| std::hint::spin_loop());
        thread::scope(|scope| {
            scope.spawn(|| {
                while !started.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                spin(round % 60);
                if round % 2 == 0 {
                    set.unregister(&idle).unwrap();
                } else {
                    (0..6).for_each(|i| set.register(NEVER_OPENED + i, PollFlags::IN).unwrap());
                }
            });
            started.store(true, Ordering::Relaxed);
            spin(round % 7 * 10);
            let events = set.poll(NOW).unwrap();
            assert_eq!(events[0], event(&ready, PollFlags::IN), "{events:?}");
        });
    }
}
