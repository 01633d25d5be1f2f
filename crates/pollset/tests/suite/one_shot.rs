//! `poll`, the function that polls an array once.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Event, PollFd, PollFlags, Timeout, poll};
use proptest::prelude::*;

use crate::allocations::assert_does_not_allocate;
use crate::helpers::{MILLISECOND, event_counters};
use crate::util::fd::Fd;
use crate::util::kinds;
use crate::util::limit::set_fd_limit;
use crate::util::oracle::kernel_poll;
use crate::util::process::in_own_process;
use crate::util::signal::{Alarm, handled};
use crate::util::{LONG, NEVER_OPENED, NOW, cases, masks};

fn entries_of(fds: &[Fd], mask: PollFlags) -> Vec<PollFd> {
    fds.iter().map(|fd| PollFd::new(fd, mask)).collect()
}

fn events_of(fds: &[PollFd]) -> Vec<Event> {
    fds.iter().filter_map(PollFd::event).collect()
}

#[test]
fn entries_report_the_events_of_the_kernel() {
    let mut fds = event_counters(20, 0);
    for fd in fds.iter().step_by(3) {
        fd.increment();
    }
    fds.push(Fd::closed());
    let (hung_up, writer) = kinds::pipe();
    drop(writer);
    fds.push(hung_up);
    for mask in [PollFlags::IN, PollFlags::OUT, PollFlags::empty(), PollFlags::all()] {
        let mut entries = entries_of(&fds, mask);
        let registered: Vec<_> = fds.iter().map(|fd| (fd.as_raw_fd(), mask)).collect();
        let expected = kernel_poll(&registered);
        for timeout in [Timeout::After(NOW), Timeout::After(LONG), Timeout::Never] {
            assert_eq!(poll(&mut entries, timeout).unwrap(), expected.len());
            assert_eq!(events_of(&entries), expected);
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn masks_are_those_that_the_kernel_defines(mask in masks()) {
        let fd = kinds::eventfd(1);
        let mut entry = [PollFd::new(&fd, mask)];
        prop_assert_eq!(entry[0].events(), mask & PollFlags::all());
        poll(&mut entry, NOW).unwrap();
        prop_assert_eq!(events_of(&entry), kernel_poll(&[(fd.as_raw_fd(), mask)]));
    }
}

#[test]
fn results_of_the_last_call_are_replaced() {
    let fd = kinds::eventfd(1);
    let mut entries = [PollFd::new(&fd, PollFlags::IN)];
    assert_eq!(poll(&mut entries, NOW).unwrap(), 1);
    fd.drain();
    assert_eq!(poll(&mut entries, NOW).unwrap(), 0);
    assert_eq!(entries[0].event(), None);
}

#[test]
fn negative_numbers_are_ignored() {
    let mut entries = [-1, i32::MIN, NEVER_OPENED].map(|fd| PollFd::new(fd, PollFlags::IN));
    assert_eq!(poll(&mut entries, None).unwrap(), 1);
    assert_eq!(events_of(&entries), [Event { fd: NEVER_OPENED, revents: PollFlags::NVAL }]);
}

#[test]
fn empty_arrays_sleep_until_the_time_is_up() {
    for timeout in [NOW, Duration::from_nanos(1), Duration::from_micros(300), 5 * MILLISECOND] {
        let start = Instant::now();
        assert_eq!(poll(&mut [], timeout).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
        let deadline = Instant::now() + timeout;
        assert_eq!(poll(&mut [], deadline).unwrap(), 0);
        assert!(Instant::now() >= deadline);
    }
    assert_eq!(poll(&mut [], Instant::now() - MILLISECOND).unwrap(), 0);
}

#[test]
fn signals_neither_shorten_nor_prolong_it() {
    let fd = kinds::eventfd(0);
    let mut entries = [PollFd::new(&fd, PollFlags::IN)];
    let before = handled();
    let alarm = Alarm::every(MILLISECOND);
    for timeout in [MILLISECOND, 50 * MILLISECOND] {
        let start = Instant::now();
        assert_eq!(poll(&mut entries, timeout).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
        assert_eq!(poll(&mut entries, start + 2 * timeout).unwrap(), 0);
        assert!(start.elapsed() >= 2 * timeout);
    }
    let signals = handled() - before;
    drop(alarm);
    // The alarm sends 10,000. A call that starts its timeout anew at each signal takes all of them.
    assert!((1..5_000).contains(&signals), "{signals} signals");
}

#[test]
fn it_waits_for_another_thread() {
    let fd = kinds::eventfd(0);
    let mut entries = [PollFd::new(&fd, PollFlags::IN)];
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(5 * MILLISECOND);
            fd.increment();
        });
        assert_eq!(poll(&mut entries, None).unwrap(), 1);
    });
    assert_eq!(entries[0].revents(), PollFlags::IN);
}

#[test]
fn more_entries_than_the_limit_are_invalid() {
    in_own_process(|| {
        set_fd_limit(100);
        let mut entries = vec![PollFd::new(0, PollFlags::empty()); 101];
        assert_eq!(poll(&mut entries, NOW).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn it_does_not_allocate() {
    let fds = event_counters(100, 1);
    let mut entries = entries_of(&fds, PollFlags::IN);
    assert_does_not_allocate(|| {
        assert_eq!(poll(&mut entries, NOW).unwrap(), 100);
        assert_eq!(poll(&mut entries, None).unwrap(), 100);
    });
}

#[test]
fn entries_are_shown_with_their_fields() {
    let entry = PollFd::new(7, PollFlags::IN);
    assert_eq!(format!("{entry:?}"), "PollFd { fd: 7, events: IN, revents: (none) }");
    assert_eq!(size_of::<PollFd>(), size_of::<libc::pollfd>());
}
