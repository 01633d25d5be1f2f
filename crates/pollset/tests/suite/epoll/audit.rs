//! Numbers closed or used again behind the back of a set on epoll are found within the bound.

use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet};
use rustix::event::epoll;
use rustix::time::{ClockId, clock_gettime};

use super::{asked, counter, counters};
use crate::util::number::enough_for;
use crate::util::process::alone;
use crate::util::signal::Alarm;
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, kinds};

const ROUNDS: usize = 5;

fn bound(size: usize) -> Duration {
    Duration::from_millis(if size <= 10_000 { 50 } else { 100 })
}

struct Crowd {
    set: PollSet,
    fds: Vec<OwnedFd>,
}

#[derive(Clone, Copy)]
enum Then {
    Closed,
    Reused,
}

impl Crowd {
    fn of(size: usize) -> Self {
        let fds = counters(size);
        Self { set: asked(&fds), fds }
    }

    /// Closes one of them, another each round, and maybe puts a ready one on its number.
    fn disturb(&mut self, round: usize, then: Then) -> Event {
        let ready = counter(1);
        let number = close_one(&mut self.fds, round);
        match then {
            Then::Closed => Event { fd: number, revents: PollFlags::NVAL },
            Then::Reused => {
                put(&ready, number);
                Event { fd: number, revents: PollFlags::IN }
            }
        }
    }

    /// Asks for several passes' time, so that the audit is at the pace that it keeps.
    fn warm_up(&self, ask: impl FnMut()) {
        ask_for(3 * bound(self.fds.len()), ask);
    }

    /// As before, but without that one.
    fn settle(&self, found: Event) {
        self.set.unregister(found.fd).unwrap();
        assert_eq!(self.set.poll(NOW).unwrap(), []);
    }
}

fn ask_for(time: Duration, mut ask: impl FnMut()) {
    let start = Instant::now();
    while start.elapsed() < time {
        ask();
    }
}

/// Closes one of them, another each round; one that isn't registered takes its place.
fn close_one(fds: &mut [OwnedFd], round: usize) -> RawFd {
    let place = fds.len() * (2 * round + 1) / (2 * ROUNDS);
    let closed = std::mem::replace(&mut fds[place], counter(0));
    closed.as_raw_fd()
}

/// Opens `number`, which stays open.
fn put(file: &OwnedFd, number: RawFd) {
    let moved = rustix::io::fcntl_dupfd_cloexec(file, number).unwrap();
    assert_eq!(moved.into_raw_fd(), number);
}

fn close(number: RawFd) {
    // SAFETY: it was opened by `put`, which nobody owns.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}

/// At each size that there are descriptors for, the best of some rounds is within the bound.
fn check(what: &str, sizes: &[usize], round: impl Fn(&mut Crowd, usize) -> (Duration, Event)) {
    for &size in sizes {
        if !enough_for(size.min(16_000)) {
            continue;
        }
        let mut crowd = Crowd::of(size);
        let times = (0..ROUNDS).map(|number| {
            let (time, found) = round(&mut crowd, number);
            crowd.settle(found);
            if found.revents == PollFlags::IN {
                close(found.fd);
            }
            time
        });
        let times: Vec<_> = times.collect();
        eprintln!("{what}, {size}: {times:?}");
        let best = *times.iter().min().unwrap();
        // The pace is a share of the time, and others may have the processor meanwhile.
        assert!(best <= 2 * bound(size), "{what}, {size}: {times:?}");
    }
}

const SIZES: [usize; 3] = [1_000, 10_000, 19_000];

fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// How much of the processor's time it takes, of which others may have their share meanwhile.
fn until_found(set: &PollSet, expected: Event) -> Duration {
    until_reported(expected, || set.poll(NOW).unwrap())
}

fn until_reported(expected: Event, mut ask: impl FnMut() -> Vec<Event>) -> Duration {
    let (start, before) = (Instant::now(), thread_time());
    while !ask().contains(&expected) {
        assert!(start.elapsed() < LONG, "{expected:?} is not found");
    }
    thread_time() - before
}

#[test]
fn a_closed_number_is_found_while_waits_follow_each_other() {
    alone(|| {
        check("closed, asking", &SIZES, |crowd, round| {
            crowd.warm_up(|| assert_eq!(crowd.set.poll(NOW).unwrap(), []));
            let expected = crowd.disturb(round, Then::Closed);
            (until_found(&crowd.set, expected), expected)
        });
    });
}

#[test]
fn a_reused_number_is_found_while_waits_follow_each_other() {
    alone(|| {
        check("reused, asking", &SIZES, |crowd, round| {
            crowd.warm_up(|| assert_eq!(crowd.set.poll(NOW).unwrap(), []));
            let expected = crowd.disturb(round, Then::Reused);
            (until_found(&crowd.set, expected), expected)
        });
    });
}

#[test]
fn a_closed_number_is_found_while_events_flow() {
    alone(|| {
        let busy = counter(0);
        check("closed, busy", &SIZES, |crowd, round| {
            crowd.set.register(&busy, PollFlags::IN).unwrap();
            let ask = |set: &PollSet| {
                rustix::io::write(&busy, &1_u64.to_ne_bytes()).unwrap();
                let events = set.poll(None).unwrap();
                assert!(events.contains(&event(&busy, PollFlags::IN)));
                rustix::io::read(&busy, &mut [0; 8]).unwrap();
                events
            };
            crowd.warm_up(|| assert_eq!(ask(&crowd.set).len(), 1));
            let expected = crowd.disturb(round, Then::Closed);
            let time = until_reported(expected, || ask(&crowd.set));
            crowd.set.unregister(&busy).unwrap();
            (time, expected)
        });
    });
}

/// The new file is idle, and the old one, which lives on, is ready.
#[test]
fn the_old_file_of_a_reused_number_is_not_reported_for_long() {
    alone(|| {
        check("reused, old file ready", &SIZES, |crowd, round| {
            let (ready, idle) = (counter(1), counter(0));
            let number = close_one(&mut crowd.fds, round);
            put(&ready, number);
            crowd.set.register(number, PollFlags::IN).unwrap();
            let reported = Event { fd: number, revents: PollFlags::IN };
            crowd.warm_up(|| assert_eq!(crowd.set.poll(NOW).unwrap(), [reported]));
            close(number);
            put(&idle, number);
            let (start, before) = (Instant::now(), thread_time());
            while !crowd.set.poll(NOW).unwrap().is_empty() {
                assert!(start.elapsed() < LONG);
            }
            (thread_time() - before, reported)
        });
    });
}

/// No wait spends much on it, so it takes a number of them.
#[test]
fn a_closed_number_is_found_by_waits_that_are_far_apart() {
    alone(|| {
        let mut crowd = Crowd::of(1_000);
        let expected = crowd.disturb(2, Then::Closed);
        let waits = (1..).find(|_| {
            thread::sleep(Duration::from_millis(10));
            crowd.set.poll(NOW).unwrap() == [expected]
        });
        eprintln!("after {waits:?} waits");
        assert!(waits < Some(200));
    });
}

/// One that doesn't block does not look once more when its time is up.
#[test]
fn a_deadline_that_has_passed_costs_what_timeout_zero_costs() {
    alone(|| {
        let fds = counters(5_000);
        let set = asked(&fds);
        let compared = |mut ask: Box<dyn FnMut()>| {
            let before = set.stats().compared;
            ask_for(Duration::from_millis(200), &mut ask);
            set.stats().compared - before
        };
        let at_zero = compared(Box::new(|| drop(set.poll(NOW).unwrap())));
        let at_deadline = compared(Box::new(|| drop(set.poll(Instant::now()).unwrap())));
        assert!(at_deadline < 2 * at_zero, "{at_deadline} instead of {at_zero}");
    });
}

fn wait_for(set: &PollSet, expected: Event) -> Duration {
    let start = Instant::now();
    assert_eq!(set.poll(None).unwrap(), [expected]);
    start.elapsed()
}

#[test]
fn a_number_closed_before_it_is_found_by_a_wait_that_blocks_for_ever() {
    alone(|| {
        check("closed, blocked", &SIZES, |crowd, round| {
            let expected = crowd.disturb(round, Then::Closed);
            (wait_for(&crowd.set, expected), expected)
        });
    });
}

#[test]
fn a_number_reused_before_it_is_found_by_a_wait_that_blocks_for_ever() {
    alone(|| {
        check("reused, blocked", &SIZES, |crowd, round| {
            let expected = crowd.disturb(round, Then::Reused);
            (wait_for(&crowd.set, expected), expected)
        });
    });
}

#[test]
fn a_number_closed_by_another_thread_is_found_by_a_wait_that_blocks_for_ever() {
    alone(|| {
        check("closed by a thread", &SIZES, |crowd, round| {
            let Crowd { set, fds } = crowd;
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
fn a_socket_shut_down_and_closed_by_another_thread_ends_the_wait() {
    alone(|| {
        check("shut down by a thread", &SIZES[..2], |crowd, round| {
            // The audit begins each round at another place.
            let time = bound(crowd.fds.len()) * round as u32 / ROUNDS as u32;
            ask_for(time, || assert_eq!(crowd.set.poll(NOW).unwrap(), []));
            let (one, _other) = UnixStream::pair().unwrap();
            let number = one.as_raw_fd();
            crowd.set.register(&one, PollFlags::IN).unwrap();
            let mut start = Instant::now();
            let events = while_waiting(&crowd.set, None, || {
                start = Instant::now();
                one.shutdown(Shutdown::Both).unwrap();
                drop(one);
            });
            let time = start.elapsed();
            let events = events.unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].fd, number);
            let found = event(&number, PollFlags::NVAL);
            until_found(&crowd.set, found);
            (time, found)
        });
    });
}

#[test]
fn a_wait_that_stays_blocked_notices_a_close_long_after_it_began() {
    alone(|| {
        let mut fds = counters(1_000);
        let set = asked(&fds);
        let mut closed = -1;
        let events = while_waiting(&set, None, || {
            thread::sleep(Duration::from_millis(300));
            closed = close_one(&mut fds, 2);
        });
        assert_eq!(events.unwrap(), [event(&closed, PollFlags::NVAL)]);
        set.unregister(closed).unwrap();
        assert_eq!(set.poll(NOW).unwrap(), []);
    });
}

#[test]
fn a_wait_that_stays_blocked_costs_next_to_nothing() {
    alone(|| {
        let fds = counters(10_000);
        let set = asked(&fds);
        let before = thread_time();
        assert_eq!(set.poll(Duration::from_secs(3)).unwrap(), []);
        let share = (thread_time() - before).as_secs_f64() / 3.0;
        eprintln!("a blocked wait over 10,000: {:.3} % of a core", 100.0 * share);
        assert!(share < 0.05, "{share}");
    });
}

#[test]
fn waits_that_follow_each_other_spend_a_bounded_share_on_the_audit() {
    alone(|| {
        let fds = counters(10_000);
        let set = asked(&fds);
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

/// What it costs at best to add to an instance what is there.
fn cost_of_a_check() -> Duration {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let fd = counter(0);
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
fn the_audit_of_a_large_set_takes_a_twentieth_of_the_time() {
    if !enough_for(16_000) {
        return;
    }
    alone(|| {
        let fds = counters(19_000);
        let set = asked(&fds);
        ask_for(Duration::from_millis(300), || assert_eq!(set.poll(NOW).unwrap(), []));
        let (before, start) = (set.stats().audited, Instant::now());
        ask_for(Duration::from_secs(1), || assert_eq!(set.poll(NOW).unwrap(), []));
        let audited = (set.stats().audited - before) as u32;
        let share = (audited * cost_of_a_check()).as_secs_f64() / start.elapsed().as_secs_f64();
        eprintln!("{audited} checks, {:.1} % of the time", 100.0 * share);
        assert!(share < 0.06, "{share}");
    });
}

#[test]
fn signals_do_not_keep_a_blocked_wait_from_its_audit() {
    let mut fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
    let set = asked(&fds);
    let _alive = fds[5].dup();
    fds[5].close();
    let _alarm = Alarm::every(Duration::from_millis(5));
    assert_eq!(set.poll(LONG).unwrap(), [event(&fds[5], PollFlags::NVAL)]);
}

#[test]
fn an_audit_at_leisure_takes_its_time_and_finds_what_was_closed() {
    alone(|| {
        let mut fds = counters(10_000);
        let set = Builder::new().engine(Engine::Epoll).audit_at_leisure().build();
        for fd in &fds {
            set.register(fd, PollFlags::IN).unwrap();
        }
        assert_eq!(set.poll(NOW).unwrap(), []);
        let (before, start) = (set.stats().audited, Instant::now());
        ask_for(Duration::from_secs(1), || assert_eq!(set.poll(NOW).unwrap(), []));
        let audited = set.stats().audited - before;
        assert!(audited > 0);
        // A pass takes no less than 1.1 s.
        assert!(audited < 10_000 * (2 + start.elapsed().as_millis() as u64 / 1_100));

        let fd = close_one(&mut fds, 0);
        until_found(&set, Event { fd, revents: PollFlags::NVAL });
    });
}
