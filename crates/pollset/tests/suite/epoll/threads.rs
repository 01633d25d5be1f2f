//! Changes by another thread while one waits on epoll.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use pollset::PollFlags;

use super::{asked, counters, instance, on_epoll, watched};
use crate::util::oracle::assert_agrees;
use crate::util::process::alone;
use crate::util::wait::while_waiting;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds};

#[test]
fn what_is_unregistered_during_a_wait_is_forgotten_right_after_it() {
    let end = kinds::event_counter(0);
    let mut fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
    let set = asked(fds.iter().chain([&end]));
    let events = while_waiting(&set, LONG, || {
        for fd in &fds {
            set.unregister(fd).unwrap();
        }
        end.increment();
    });
    assert_eq!(events.unwrap(), [event(&end, PollFlags::IN)]);
    let alive: Vec<_> = fds.iter().map(|fd| fd.dup()).collect();
    for fd in &mut fds {
        fd.increment();
        fd.close();
    }
    for _ in 0..3 {
        assert_eq!(assert_agrees(&set), [event(&end, PollFlags::IN)]);
    }
    assert_eq!(set.stats().replaced, 0);
    drop(alive);
}

#[test]
fn what_is_unregistered_and_registered_again_during_a_wait_is_watched() {
    let end = kinds::event_counter(0);
    let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
    let set = asked(fds.iter().chain([&end]));
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
        assert_eq!(assert_agrees(&set).len(), 20);
        fds.iter().for_each(|fd| fd.drain());
    }
}

#[test]
fn a_number_used_again_during_a_wait_is_watched_from_the_next_on() {
    let end = kinds::event_counter(0);
    let mut fd = kinds::event_counter(0);
    let set = asked([&fd, &end]);
    for _ in 0..20 {
        let events = while_waiting(&set, LONG, || {
            set.unregister(&fd).unwrap();
            fd.open(kinds::event_counter(1).dup_file());
            set.register(&fd, PollFlags::IN).unwrap();
            end.increment();
        });
        assert!(!events.unwrap().is_empty());
        end.drain();
        assert_eq!(assert_agrees(&set), [event(&fd, PollFlags::IN)]);
        fd.drain();
    }
}

#[test]
fn what_is_registered_again_at_any_moment_of_a_wait_stays_watched() {
    const ROUNDS: u64 = 30_000;
    let fd = kinds::event_counter(1);
    let idle: Vec<_> = (0..12).map(|_| kinds::event_counter(0)).collect();
    let set = asked(idle.iter().chain([&fd]));
    let waits = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let missed = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                set.unregister(&fd).unwrap();
                set.register(&fd, PollFlags::IN).unwrap();
                // The wait in progress, and one that began after the change.
                let before = waits.load(Ordering::SeqCst);
                while waits.load(Ordering::SeqCst) < before + 2 {
                    std::hint::spin_loop();
                }
                missed.store(0, Ordering::SeqCst);
                while waits.load(Ordering::SeqCst) < before + 4 {
                    std::hint::spin_loop();
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
    assert_eq!(missed.load(Ordering::SeqCst), 0, "a registered and ready descriptor");
}

/// Whoever comes while another tells the kernel leaves it to that one.
#[test]
fn what_two_threads_unregister_at_once_is_forgotten_at_once() {
    const ROUNDS: u32 = 6_000;
    alone(|| {
        let fds = counters(40);
        let set = asked(&fds);
        let instance = instance();
        let mut late = 0;
        for _ in 0..ROUNDS {
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
            late += u32::from(watched(instance) > 0);
            fds.iter().for_each(|fd| set.register(fd, PollFlags::IN).unwrap());
            set.poll(NOW).unwrap();
        }
        eprintln!("{late} of {ROUNDS} were late");
        // Nothing is promised to those that end within nanoseconds of each other.
        assert!(late <= 2, "{late}");
    });
}

/// The first wait takes over the registrations, and fills an instance with them: the same ones.
#[test]
fn changes_while_an_instance_is_filled_get_there_and_nowhere_else() {
    let (idle, ready) = (kinds::event_counter(0), kinds::event_counter(1));
    for round in 0..5_000_u32 {
        let set = on_epoll();
        set.register(&idle, PollFlags::IN).unwrap();
        set.register(&ready, PollFlags::IN).unwrap();
        let go = AtomicBool::new(false);
        let spin = |turns| (0..turns).for_each(|_| std::hint::spin_loop());
        thread::scope(|scope| {
            scope.spawn(|| {
                while !go.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                spin(round % 60);
                if round % 2 == 0 {
                    set.unregister(&idle).unwrap();
                } else {
                    (0..6).for_each(|i| set.register(NEVER_OPENED + i, PollFlags::IN).unwrap());
                }
            });
            go.store(true, Ordering::Relaxed);
            spin(round % 7 * 10);
            let events = set.poll(NOW).unwrap();
            assert_eq!(events[0], event(&ready, PollFlags::IN), "{events:?}");
        });
    }
}
