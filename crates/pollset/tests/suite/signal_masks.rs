//! `ppoll`: waits with a signal mask of their own.

use std::io::ErrorKind;
use std::thread;
use std::time::Instant;

use libc::{SIGTERM, SIGUSR1, SIGUSR2};
use pollset::{Builder, Engine, PollFlags, PollMap, PollSet, SignalMask};

use crate::helpers::{MILLISECOND, event_counters, set_with_engine};
use crate::util::fd::Fd;
use crate::util::kinds;
use crate::util::process::in_own_process;
use crate::util::signal::{Alarm, Thread, handled};
use crate::util::{LONG, NOW, event, set_of};

/// Blocks SIGUSR1 in this thread until it is dropped, and has the mask in which it isn't blocked.
struct Blocked {
    before: SignalMask,
}

impl Blocked {
    fn new() -> Self {
        let before = SignalMask::current();
        let mut mask = before;
        mask.insert(SIGUSR1).unwrap();
        mask.apply();
        Self { before }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.before.apply();
    }
}

/// Idle sets: small and large, on each engine, with files that epoll has no entry for, and empty.
fn idle_sets() -> Vec<(PollSet, Vec<Fd>)> {
    let engines = [Some(Engine::Poll), Some(Engine::Epoll), None];
    let sizes = [0, 1, 100];
    let mut sets = Vec::new();
    for engine in engines {
        for size in sizes {
            let mut fds = event_counters(size, 0);
            let set = set_with_engine(engine, &fds);
            if size == 100 {
                let (master, slave) = kinds::terminal();
                set.register(&master, PollFlags::IN).unwrap();
                fds.extend([master, slave]);
            }
            (0..3).for_each(|_| assert_eq!(set.poll(NOW).unwrap(), []));
            sets.push((set, fds));
        }
    }
    sets
}

#[test]
fn pending_signal_is_handled_in_the_wait_and_ends_it() {
    for (set, _fds) in idle_sets() {
        for timeout in [None, Some(LONG), Some(NOW), Some(LONG + MILLISECOND / 2)] {
            let blocked = Blocked::new();
            let before = handled();
            Thread::current().interrupt();
            assert_eq!(handled(), before, "it is blocked");
            let mut events = Vec::new();
            let error = set.ppoll(&mut events, timeout, &blocked.before).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{timeout:?} {:?}", set.stats());
            assert_eq!(handled(), before + 1);
            assert!(SignalMask::current().contains(SIGUSR1), "it is blocked again");
        }
    }
}

#[test]
fn signal_during_the_wait_ends_it() {
    for (set, _fds) in idle_sets() {
        let blocked = Blocked::new();
        let before = handled();
        let _alarm = Alarm::after(5 * MILLISECOND);
        let error = set.ppoll(&mut Vec::new(), LONG, &blocked.before).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(handled(), before + 1);
    }
}

#[test]
fn signal_that_the_mask_blocks_stays_pending() {
    for (set, _fds) in idle_sets() {
        let blocked = Blocked::new();
        let before = handled();
        Thread::current().interrupt();
        let mask = SignalMask::current();
        for timeout in [NOW, 2 * MILLISECOND, MILLISECOND / 2] {
            let start = Instant::now();
            assert_eq!(set.ppoll(&mut Vec::new(), timeout, &mask).unwrap(), 0);
            assert!(start.elapsed() >= timeout);
        }
        assert_eq!(handled(), before);
        drop(blocked);
        assert_eq!(handled(), before + 1);
    }
}

/// The kernel restores the mask before the signal is handled.
#[test]
fn ready_descriptors_are_reported_before_a_pending_signal_is_handled() {
    for (set, fds) in idle_sets() {
        let Some(fd) = fds.first() else { continue };
        let blocked = Blocked::new();
        let before = handled();
        Thread::current().interrupt();
        fd.increment();
        let mut events = Vec::new();
        for timeout in [None, Some(NOW), Some(LONG)] {
            set.ppoll(&mut events, timeout, &blocked.before).unwrap();
            assert_eq!(events, [event(fd, PollFlags::IN)]);
        }
        assert_eq!(handled(), before, "the signal is pending");
        fd.drain();
        let error = set.ppoll(&mut events, None, &blocked.before).unwrap_err();
        assert_eq!((error.kind(), events.len()), (ErrorKind::Interrupted, 0));
        assert_eq!(handled(), before + 1);
    }
}

/// Between the check and the wait, there is no moment in which a signal is lost.
#[test]
fn no_signal_is_lost_between_a_check_and_the_wait() {
    const SIGNALS: usize = 2_000;
    let fd = kinds::eventfd(0);
    let set = set_of([&fd], PollFlags::IN);
    let blocked = Blocked::new();
    let before = handled();
    let waiter = Thread::current();
    let (sender, receiver) = std::sync::mpsc::sync_channel(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            // The next signal is sent only when this one was handled: a wait that misses it ends with
            // its timeout.
            while receiver.recv().is_ok() {
                waiter.interrupt();
            }
        });
        for count in 1..=SIGNALS {
            sender.send(()).unwrap();
            while handled() < before + count {
                let error = set.ppoll(&mut Vec::new(), LONG, &blocked.before).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Interrupted);
            }
        }
        drop(sender);
    });
}

/// A wait on epoll makes several calls, which the audit interrupts.
#[test]
fn signal_that_only_the_mask_blocks_stays_pending_through_the_wait() {
    for (set, fds) in idle_sets() {
        let Some(fd) = fds.first() else { continue };
        let mut mask = SignalMask::current();
        mask.insert(SIGUSR1).unwrap();
        let before = handled();
        let waiter = Thread::current();
        let has = |set, signal: i32| waiter.signals(set) & 1_u64 << (signal - 1) != 0;
        // While a thread starts another one, all signals are blocked.
        let is_masked = || has("SigBlk", SIGUSR1) && !has("SigBlk", SIGTERM);
        let is_pending = thread::scope(|scope| {
            let observer = scope.spawn(|| {
                let start = Instant::now();
                while !is_masked() && start.elapsed() < LONG / 2 {
                    thread::sleep(MILLISECOND);
                }
                waiter.interrupt();
                thread::sleep(130 * MILLISECOND);
                let is_pending = has("SigPnd", SIGUSR1);
                fd.increment();
                is_pending
            });
            set.ppoll(&mut Vec::new(), LONG, &mask).unwrap();
            observer.join().unwrap()
        });
        assert!(is_pending, "{:?}", set.stats());
        assert!(!SignalMask::current().contains(SIGUSR1), "the mask of the thread is restored");
        // QEMU doesn't deliver the signal before the next call that sets the mask.
        SignalMask::current().apply();
        assert_eq!(handled(), before + 1);
    }
}

#[test]
fn ppoll_is_never_early() {
    for (set, _fds) in idle_sets() {
        let mask = SignalMask::current();
        for timeout in [MILLISECOND / 3, 2 * MILLISECOND, 30 * MILLISECOND] {
            let start = Instant::now();
            assert_eq!(set.ppoll(&mut Vec::new(), timeout, &mask).unwrap(), 0);
            assert!(start.elapsed() >= timeout);
        }
    }
}

#[test]
fn maps_wait_with_a_mask_as_sets_do() {
    let mut map = Builder::new().engine(crate::util::engine()).build_map::<u32>();
    let fd = kinds::eventfd(1);
    map.register(&fd, PollFlags::IN, 7).unwrap();
    let blocked = Blocked::new();
    assert_eq!(map.ppoll(None, &blocked.before).unwrap(), 1);
    assert_eq!(map.next_event(), Some((event(&fd, PollFlags::IN), &mut 7)));
    fd.drain();
    Thread::current().interrupt();
    let error = map.ppoll(None, &blocked.before).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(map.next_event(), None);
    let _: PollMap<u32> = map;
}

#[test]
fn masks_contain_what_was_inserted() {
    in_own_process(|| {
        let mut mask = SignalMask::empty();
        assert!((0..128).all(|signal| !mask.contains(signal)));
        mask.insert(SIGUSR1).unwrap();
        mask.insert(SIGUSR2).unwrap();
        mask.remove(SIGUSR1).unwrap();
        assert!(!mask.contains(SIGUSR1) && mask.contains(SIGUSR2));
        assert_eq!(format!("{mask:?}"), format!("SignalMask {{{SIGUSR2}}}"));
        mask.apply();
        assert_eq!(format!("{:?}", SignalMask::current()), format!("{mask:?}"));
        for signal in [-1, 0, 1_000] {
            assert_eq!(mask.insert(signal).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(mask.remove(signal).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(!mask.contains(signal));
        }
    });
}
