//! The audit: a set on epoll finds registered descriptors that were closed or reused, within the
//! documented time and at a bounded cost.

use std::net::Shutdown;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet};
use rustix::event::epoll;

use super::{close_fd, owned_counter, owned_counters, polled_set};
use crate::helpers::{MILLISECOND, event_counters, thread_cpu_time};
use crate::util::number::enough_fds_for;
use crate::util::process::{in_own_process, slowness};
use crate::util::signal::{Alarm, handled};
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event};

const ROUNDS: usize = 5;

/// The documented time in which a set of this size finds a closed or reused descriptor.
fn documented_bound(size: usize) -> Duration {
    Duration::from_millis(if size <= 10_000 { 50 } else { 100 })
}

struct Fixture {
    set: PollSet,
    fds: Vec<OwnedFd>,
}

#[derive(Clone, Copy)]
enum Change {
    Close,
    Reuse,
}

impl Fixture {
    fn new(size: usize) -> Self {
        let fds = owned_counters(size);
        Self { set: polled_set(&fds), fds }
    }

    /// Closes one of the descriptors, a different one each round, and reuses it for a ready file or
    /// not. Returns the event that the set must report.
    fn close_or_reuse(&mut self, round: usize, change: Change) -> Event {
        let ready = owned_counter(1);
        let number = close_one(&mut self.fds, round);
        match change {
            Change::Close => Event { fd: number, revents: PollFlags::NVAL },
            Change::Reuse => {
                duplicate_to(&ready, number);
                Event { fd: number, revents: PollFlags::IN }
            }
        }
    }

    /// Polls for the time of several passes, after which the audit has reached its steady rate.
    fn warm_up(&self, poll: impl FnMut()) {
        repeat_for(3 * documented_bound(self.fds.len()), poll);
    }

    /// Unregisters the descriptor that was found, after which all others are idle.
    fn unregister(&self, found: Event) {
        self.set.unregister(found.fd).unwrap();
        assert_eq!(self.set.poll(NOW).unwrap(), []);
    }
}

fn repeat_for(time: Duration, mut poll: impl FnMut()) {
    let start = Instant::now();
    while start.elapsed() < time {
        poll();
    }
}

/// Closes one of `fds`, a different one each round, and replaces it by one that isn't registered.
fn close_one(fds: &mut [OwnedFd], round: usize) -> RawFd {
    let index = fds.len() * (2 * round + 1) / (2 * ROUNDS);
    let closed = std::mem::replace(&mut fds[index], owned_counter(0));
    closed.as_raw_fd()
}

/// Duplicates `file` to `number`, which is free, and has no owner afterwards.
fn duplicate_to(file: &OwnedFd, number: RawFd) {
    let moved = rustix::io::fcntl_dupfd_cloexec(file, number).unwrap();
    assert_eq!(moved.into_raw_fd(), number);
}

/// At each size that the limit on descriptors allows, the shortest time of several rounds is within
/// the documented bound.
fn assert_within_bound(
    name: &str,
    sizes: &[usize],
    run_round: impl Fn(&mut Fixture, usize) -> (Duration, Event),
) {
    for &size in sizes {
        if !enough_fds_for(size.min(16_000)) {
            continue;
        }
        let mut fixture = Fixture::new(size);
        let times = (0..ROUNDS).map(|round| {
            let (time, found) = run_round(&mut fixture, round);
            fixture.unregister(found);
            if found.revents == PollFlags::IN {
                close_fd(found.fd);
            }
            time
        });
        let times: Vec<_> = times.collect();
        eprintln!("{name}, {size}: {times:?}");
        let best = *times.iter().min().unwrap();
        // The audit uses a share of the time, in which other processes may have the processor:
        // hence twice the bound.
        let bound = 2 * slowness() * documented_bound(size);
        assert!(best <= bound, "{name}, {size}: {times:?}");
    }
}

const SIZES: [usize; 3] = [1_000, 10_000, 19_000];

/// Polls until the set reports `expected`. Returns the CPU time, which excludes other processes.
fn time_until_polled(set: &PollSet, expected: Event) -> Duration {
    time_until(|| set.poll(NOW).unwrap().contains(&expected))
}

/// Calls `poll` until it returns true. Returns the CPU time that it takes.
#[track_caller]
fn time_until(mut poll: impl FnMut() -> bool) -> Duration {
    let (start, before) = (Instant::now(), thread_cpu_time());
    while !poll() {
        assert!(start.elapsed() < LONG, "the set does not find it");
    }
    thread_cpu_time() - before
}

#[test]
fn closed_fd_is_found_by_repeated_polls() {
    in_own_process(|| {
        assert_within_bound("closed, polling", &SIZES, |fixture, round| {
            fixture.warm_up(|| assert_eq!(fixture.set.poll(NOW).unwrap(), []));
            let expected = fixture.close_or_reuse(round, Change::Close);
            (time_until_polled(&fixture.set, expected), expected)
        });
    });
}

#[test]
fn reused_fd_is_found_by_repeated_polls() {
    in_own_process(|| {
        assert_within_bound("reused, polling", &SIZES, |fixture, round| {
            fixture.warm_up(|| assert_eq!(fixture.set.poll(NOW).unwrap(), []));
            let expected = fixture.close_or_reuse(round, Change::Reuse);
            (time_until_polled(&fixture.set, expected), expected)
        });
    });
}

#[test]
fn closed_fd_is_found_while_events_flow() {
    in_own_process(|| {
        let busy = owned_counter(0);
        assert_within_bound("closed, busy", &SIZES, |fixture, round| {
            fixture.set.register(&busy, PollFlags::IN).unwrap();
            let poll = |set: &PollSet| {
                rustix::io::write(&busy, &1_u64.to_ne_bytes()).unwrap();
                let events = set.poll(None).unwrap();
                assert!(events.contains(&event(&busy, PollFlags::IN)));
                rustix::io::read(&busy, &mut [0; 8]).unwrap();
                events
            };
            fixture.warm_up(|| assert_eq!(poll(&fixture.set).len(), 1));
            let expected = fixture.close_or_reuse(round, Change::Close);
            let time = time_until(|| poll(&fixture.set).contains(&expected));
            fixture.set.unregister(&busy).unwrap();
            (time, expected)
        });
    });
}

/// The new file is idle, and the old one, which stays open, is ready.
#[test]
fn old_file_of_a_reused_fd_stops_being_reported() {
    in_own_process(|| {
        assert_within_bound("reused, old file ready", &SIZES, |fixture, round| {
            let (ready, idle) = (owned_counter(1), owned_counter(0));
            let number = close_one(&mut fixture.fds, round);
            duplicate_to(&ready, number);
            fixture.set.register(number, PollFlags::IN).unwrap();
            let reported = Event { fd: number, revents: PollFlags::IN };
            fixture.warm_up(|| assert_eq!(fixture.set.poll(NOW).unwrap(), [reported]));
            close_fd(number);
            duplicate_to(&idle, number);
            (time_until(|| fixture.set.poll(NOW).unwrap().is_empty()), reported)
        });
    });
}

/// Each wait spends little time on the audit, so this takes a number of them.
#[test]
fn closed_fd_is_found_by_polls_far_apart() {
    in_own_process(|| {
        let mut fixture = Fixture::new(1_000);
        let expected = fixture.close_or_reuse(2, Change::Close);
        let waits = (1..).find(|_| {
            thread::sleep(10 * MILLISECOND);
            fixture.set.poll(NOW).unwrap() == [expected]
        });
        eprintln!("found after {waits:?} waits");
        assert!(waits < Some(200));
    });
}

/// A wait that blocks compares once more at its deadline; one that doesn't block must not.
#[test]
fn passed_deadline_compares_no_more_than_zero_timeout() {
    in_own_process(|| {
        let fds = owned_counters(5_000);
        let set = polled_set(&fds);
        let compared = |mut poll: Box<dyn FnMut()>| {
            let before = set.stats().compared;
            repeat_for(200 * MILLISECOND, &mut poll);
            set.stats().compared - before
        };
        // On a busy machine one of them may get more of the processor than the other.
        let is_no_more = (0..5).any(|_| {
            let at_zero = compared(Box::new(|| drop(set.poll(NOW).unwrap())));
            let at_deadline = compared(Box::new(|| drop(set.poll(Instant::now()).unwrap())));
            eprintln!("{at_deadline} at the deadline, {at_zero} at 0");
            at_deadline < 2 * at_zero
        });
        assert!(is_no_more);
    });
}

fn time_blocked_until(set: &PollSet, expected: Event) -> Duration {
    let start = Instant::now();
    assert_eq!(set.poll(None).unwrap(), [expected]);
    start.elapsed()
}

#[test]
fn fd_closed_before_an_infinite_wait_ends_it() {
    in_own_process(|| {
        assert_within_bound("closed, blocked", &SIZES, |fixture, round| {
            let expected = fixture.close_or_reuse(round, Change::Close);
            (time_blocked_until(&fixture.set, expected), expected)
        });
    });
}

#[test]
fn fd_reused_before_an_infinite_wait_ends_it() {
    in_own_process(|| {
        assert_within_bound("reused, blocked", &SIZES, |fixture, round| {
            let expected = fixture.close_or_reuse(round, Change::Reuse);
            (time_blocked_until(&fixture.set, expected), expected)
        });
    });
}

#[test]
fn fd_closed_by_another_thread_ends_an_infinite_wait() {
    in_own_process(|| {
        assert_within_bound("closed by a thread", &SIZES, |fixture, round| {
            let Fixture { set, fds } = fixture;
            let mut closed = -1;
            let mut start = Instant::now();
            let events = while_waiting(set, None, || {
                start = Instant::now();
                closed = close_one(fds, round);
            });
            let expected = event(&closed, PollFlags::NVAL);
            assert_eq!(events.unwrap(), [expected]);
            (start.elapsed(), expected)
        });
    });
}

#[test]
fn socket_shut_down_and_closed_by_another_thread_ends_the_wait() {
    in_own_process(|| {
        assert_within_bound("shut down by a thread", &SIZES[..2], |fixture, round| {
            // The audit is at a different position in each round.
            let time = documented_bound(fixture.fds.len()) * round as u32 / ROUNDS as u32;
            repeat_for(time, || assert_eq!(fixture.set.poll(NOW).unwrap(), []));
            let (one, _other) = UnixStream::pair().unwrap();
            let number = one.as_raw_fd();
            fixture.set.register(&one, PollFlags::IN).unwrap();
            let mut start = Instant::now();
            let events = while_waiting(&fixture.set, None, || {
                start = Instant::now();
                one.shutdown(Shutdown::Both).unwrap();
                drop(one);
            });
            let time = start.elapsed();
            let events = events.unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].fd, number);
            let found = event(&number, PollFlags::NVAL);
            time_until_polled(&fixture.set, found);
            (time, found)
        });
    });
}

#[test]
fn fd_closed_late_in_an_infinite_wait_ends_it() {
    in_own_process(|| {
        let mut fds = owned_counters(1_000);
        let set = polled_set(&fds);
        let mut closed = -1;
        let events = while_waiting(&set, None, || {
            thread::sleep(300 * MILLISECOND);
            closed = close_one(&mut fds, 2);
        });
        assert_eq!(events.unwrap(), [event(&closed, PollFlags::NVAL)]);
        set.unregister(closed).unwrap();
        assert_eq!(set.poll(NOW).unwrap(), []);
    });
}

#[test]
fn blocked_wait_uses_little_cpu_time() {
    in_own_process(|| {
        let fds = owned_counters(10_000);
        let set = polled_set(&fds);
        let before = thread_cpu_time();
        assert_eq!(set.poll(Duration::from_secs(3)).unwrap(), []);
        let share = (thread_cpu_time() - before).as_secs_f64() / 3.0;
        eprintln!("a blocked wait on 10,000 descriptors: {:.3} % of a core", 100.0 * share);
        assert!(share < 0.05, "{share}");
    });
}

#[test]
fn repeated_polls_audit_at_a_bounded_rate() {
    in_own_process(|| {
        let fds = owned_counters(10_000);
        let set = polled_set(&fds);
        let before = set.stats().audited;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        let audited = set.stats().audited - before;
        eprintln!("{audited} checks in {:?}", start.elapsed());
        assert!(audited > 0);
        // A pass takes no less than 40 ms.
        assert!(audited < 10_000 * (2 + start.elapsed().as_millis() as u64 / 40));
    });
}

/// The shortest time to add an entry that exists already, which is how the audit checks it.
fn time_of_a_check() -> Duration {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let fd = owned_counter(0);
    let add = || epoll::add(&epoll, &fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN);
    add().unwrap();
    let rounds = (0..50).map(|_| {
        let start = Instant::now();
        (0..100).for_each(|_| assert!(add().is_err()));
        start.elapsed() / 100
    });
    rounds.min().unwrap()
}

#[test]
fn audit_of_a_large_set_takes_a_twentieth_of_the_time() {
    if !enough_fds_for(16_000) {
        return;
    }
    in_own_process(|| {
        let fds = owned_counters(19_000);
        let set = polled_set(&fds);
        repeat_for(300 * MILLISECOND, || assert_eq!(set.poll(NOW).unwrap(), []));
        let (before, start) = (set.stats().audited, Instant::now());
        repeat_for(Duration::from_secs(1), || assert_eq!(set.poll(NOW).unwrap(), []));
        let audited = (set.stats().audited - before) as u32;
        let share = (audited * time_of_a_check()).as_secs_f64() / start.elapsed().as_secs_f64();
        eprintln!("{audited} checks, {:.1} % of the time", 100.0 * share);
        assert!(audited > 0);
        assert!(share < 0.06, "{share}");
    });
}

#[test]
fn signals_do_not_prevent_the_audit_of_a_blocked_wait() {
    let mut fds = event_counters(20, 0);
    let set = polled_set(&fds);
    let before = handled();
    let _alarm = Alarm::every(5 * MILLISECOND);
    for fd in &mut fds[5..10] {
        let _duplicate = fd.dup();
        fd.close();
        assert_eq!(set.poll(LONG).unwrap(), [event(fd, PollFlags::NVAL)]);
        set.unregister(&*fd).unwrap();
    }
    assert!(handled() > before, "no signal arrived");
}

#[test]
fn relaxed_audit_is_slower_and_finds_a_closed_fd() {
    in_own_process(|| {
        let mut fds = owned_counters(10_000);
        let set = Builder::new().engine(Some(Engine::Epoll)).relaxed_audit().build();
        for fd in &fds {
            set.register(fd, PollFlags::IN).unwrap();
        }
        assert_eq!(set.poll(NOW).unwrap(), []);
        let (before, start) = (set.stats().audited, Instant::now());
        repeat_for(Duration::from_secs(1), || assert_eq!(set.poll(NOW).unwrap(), []));
        let audited = set.stats().audited - before;
        assert!(audited > 0);
        // A pass takes no less than 1.1 s.
        assert!(audited < 10_000 * (2 + start.elapsed().as_millis() as u64 / 1_100));

        let fd = close_one(&mut fds, 0);
        time_until_polled(&set, Event { fd, revents: PollFlags::NVAL });
    });
}
