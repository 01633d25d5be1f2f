//! Signals that arrive during a wait.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use pollset::{PollFlags, PollSet, Timeout, Waker};

use crate::helpers::MILLISECOND;
use crate::util::fd::Fd;
use crate::util::oracle::assert_matches_kernel;
use crate::util::signal::{Alarm, Thread, handled};
use crate::util::wait::assert_concurrent_poll_error;
use crate::util::{LONG, NOW, event, kinds, new_set, set_of};

const CONTINUE: ControlFlow<()> = ControlFlow::Continue(());
const BREAK: ControlFlow<()> = ControlFlow::Break(());

fn idle_set() -> (PollSet, Fd) {
    let fd = kinds::eventfd(0);
    (set_of([&fd], PollFlags::IN), fd)
}

#[test]
fn signals_do_not_shorten_a_wait() {
    let (set, _fd) = idle_set();
    let before = handled();
    let _alarm = Alarm::every(Duration::from_micros(200));
    for timeout in [MILLISECOND, 20 * MILLISECOND, 100 * MILLISECOND] {
        let start = Instant::now();
        assert_eq!(set.poll(timeout).unwrap(), []);
        assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
        let start = Instant::now();
        assert_eq!(set.poll(start + timeout).unwrap(), []);
        assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    }
    assert!(handled() > before, "no signal arrived");
}

#[test]
fn signals_do_not_restart_the_timeout() {
    let (set, _fd) = idle_set();
    let _alarm = Alarm::every(MILLISECOND);
    let wait = |timeout: Timeout| {
        let mut interrupts = 0;
        let outcome = set.poll_interruptible(&mut Vec::new(), timeout, || {
            interrupts += 1;
            // A wait that restarts its timeout at each signal would last as long as they arrive.
            if interrupts == 5_000 { BREAK } else { CONTINUE }
        });
        assert_eq!(outcome.expect("the timeout has expired"), 0);
        interrupts
    };
    assert!(wait(Timeout::After(50 * MILLISECOND)) > 0, "no signal arrived");
    let deadline = Instant::now() + 50 * MILLISECOND;
    assert!(wait(Timeout::At(deadline)) > 0, "no signal arrived");
}

#[test]
fn signals_do_not_shorten_the_wait_of_an_empty_set() {
    let before = handled();
    let _alarm = Alarm::every(MILLISECOND);
    let start = Instant::now();
    assert_eq!(new_set().poll(20 * MILLISECOND).unwrap(), []);
    assert!(start.elapsed() >= 20 * MILLISECOND);
    assert!(handled() > before, "no signal arrived");
}

#[test]
fn signals_do_not_affect_polls_with_zero_timeout() {
    let (set, fd) = idle_set();
    let _alarm = Alarm::every(Duration::from_micros(50));
    let before = handled();
    while handled() < before + 100 {
        assert_eq!(set.poll(NOW).unwrap(), []);
    }
    fd.increment();
    while handled() < before + 200 {
        assert_eq!(set.poll(NOW).unwrap(), [event(&fd, PollFlags::IN)]);
    }
}

#[test]
fn wait_interrupted_a_thousand_times_reports_wake() {
    let waker = Waker::new().unwrap();
    let set = set_of([&waker], PollFlags::IN);
    let waiter = Thread::current();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..1_000 {
                waiter.interrupt();
                thread::sleep(Duration::from_micros(10));
            }
            waker.wake().unwrap();
        });
        assert_eq!(set.poll(LONG).unwrap(), [event(&waker, PollFlags::IN)]);
    });
}

#[test]
fn callback_runs_for_each_interrupt() {
    let (set, _fd) = idle_set();
    let before = handled();
    let _alarm = Alarm::every(MILLISECOND);
    let mut calls = 0;
    let outcome = set.poll_interruptible(&mut Vec::new(), LONG, || {
        calls += 1;
        if calls == 10 { BREAK } else { CONTINUE }
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(calls, 10);
    assert!(handled() >= before + 10);
}

#[test]
fn callback_does_not_run_without_a_signal() {
    let (set, fd) = idle_set();
    let no_signal = || unreachable!("no signal was sent");
    let mut events = Vec::new();
    for timeout in [NOW, MILLISECOND] {
        assert_eq!(set.poll_interruptible(&mut events, timeout, no_signal).unwrap(), 0);
    }
    fd.increment();
    assert_eq!(set.poll_interruptible(&mut events, None, no_signal).unwrap(), 1);
    assert_eq!(events, [event(&fd, PollFlags::IN)]);
}

#[test]
fn break_in_callback_returns_interrupted_and_leaves_set_usable() {
    let (set, fd) = idle_set();
    let _alarm = Alarm::every(MILLISECOND);
    for timeout in [Timeout::Never, LONG.into(), (Instant::now() + LONG).into()] {
        let mut events = vec![event(&fd, PollFlags::ERR)];
        let error = set.poll_interruptible(&mut events, timeout, || BREAK).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(events, []);
        assert_eq!(set.poll(NOW).unwrap(), []);
    }
    fd.increment();
    assert_eq!(assert_matches_kernel(&set), [event(&fd, PollFlags::IN)]);
}

/// Calls `act` at the first signal during a wait, and returns the descriptors that this wait
/// reports. Waits again if the timeout expired before the signal.
fn on_first_interrupt(set: &PollSet, timeout: impl Into<Timeout>, act: impl FnOnce()) -> Vec<i32> {
    let _alarm = Alarm::every(MILLISECOND);
    let timeout = timeout.into();
    let mut act = Some(act);
    let mut events = Vec::new();
    while act.is_some() {
        let outcome = set.poll_interruptible(&mut events, timeout, || {
            if let Some(act) = act.take() {
                act();
            }
            CONTINUE
        });
        assert_eq!(outcome.unwrap(), events.len());
    }
    events.iter().map(|event| event.fd).collect()
}

#[test]
fn changes_in_callback_take_effect_at_next_wait() {
    let (set, fd) = idle_set();
    let new = kinds::eventfd(1);
    let reported = on_first_interrupt(&set, 10 * MILLISECOND, || {
        set.register(&new, PollFlags::IN).unwrap();
        set.unregister(&fd).unwrap();
    });
    assert_eq!(reported, [], "changes take effect at the next wait");
    assert_eq!(assert_matches_kernel(&set), [event(&new, PollFlags::IN)]);
}

#[test]
fn poll_of_same_set_in_callback_is_an_error() {
    let (set, fd) = idle_set();
    let reported = on_first_interrupt(&set, LONG, || {
        for timeout in [Some(NOW), Some(MILLISECOND), None] {
            assert_concurrent_poll_error(set.poll(timeout));
        }
        fd.increment();
    });
    assert_eq!(reported, [fd.number()]);
}

#[test]
fn another_set_can_be_polled_in_callback() {
    let (set, fd) = idle_set();
    let reported = on_first_interrupt(&set, LONG, || {
        fd.increment();
        assert_matches_kernel(&set_of([&fd], PollFlags::IN));
    });
    assert_eq!(reported, [fd.number()]);
}

#[test]
fn event_raised_in_callback_is_reported_after_the_deadline() {
    let (set, fd) = idle_set();
    for _ in 0..5 {
        let reported = on_first_interrupt(&set, 5 * MILLISECOND, || {
            thread::sleep(10 * MILLISECOND);
            fd.increment();
        });
        assert_eq!(reported, [fd.number()]);
        fd.drain();
    }
}

#[test]
fn panic_in_callback_leaves_set_usable() {
    let (set, fd) = idle_set();
    for _ in 0..3 {
        let _alarm = Alarm::every(MILLISECOND);
        let mut events = vec![event(&fd, PollFlags::ERR)];
        let wait = AssertUnwindSafe(|| {
            let outcome = set.poll_interruptible(&mut events, None, || {
                std::panic::resume_unwind(Box::new("from the callback"))
            });
            drop(outcome);
        });
        let panic = catch_unwind(wait).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"from the callback"));
        assert_eq!(set.poll(NOW).unwrap(), []);
    }
    fd.increment();
    assert_eq!(assert_matches_kernel(&set), [event(&fd, PollFlags::IN)]);
    set.unregister(&fd).unwrap();
    assert_eq!(assert_matches_kernel(&set), []);
}

#[test]
fn one_signal_does_not_end_a_wait() {
    let (set, _fd) = idle_set();
    let before = handled();
    let _alarm = Alarm::after(5 * MILLISECOND);
    let start = Instant::now();
    assert_eq!(set.poll(30 * MILLISECOND).unwrap(), []);
    assert!(start.elapsed() >= 30 * MILLISECOND);
    assert_eq!(handled(), before + 1);
}
