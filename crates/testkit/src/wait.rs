//! Waits in another thread.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pollset::{ConcurrentPoll, Event, PollSet, Timeout};

use super::signal::Thread;

/// Runs `meanwhile` while another thread waits on `set`, and returns the result of that wait.
///
/// `meanwhile` must end the wait. It starts after a signal has interrupted the wait, which by then
/// has applied all earlier changes.
pub fn while_waiting(
    set: &PollSet,
    timeout: impl Into<Timeout>,
    meanwhile: impl FnOnce(),
) -> io::Result<Vec<Event>> {
    let timeout = timeout.into();
    let is_inside = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let is_inside = &is_inside;
        let waiter = scope.spawn(move || {
            sender.send(Thread::current()).unwrap();
            let mut events = Vec::new();
            set.poll_interruptible(&mut events, timeout, || {
                is_inside.store(true, Ordering::Release);
                ControlFlow::Continue(())
            })?;
            Ok(events)
        });
        let thread = receiver.recv().unwrap();
        while !is_inside.load(Ordering::Acquire) && !waiter.is_finished() {
            thread.interrupt();
            thread::sleep(Duration::from_micros(50));
        }
        meanwhile();
        waiter.join().unwrap()
    })
}

#[track_caller]
pub fn assert_concurrent_poll_error(outcome: io::Result<Vec<Event>>) {
    let error = outcome.expect_err("a wait is in progress");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>()));
    assert_eq!(error.to_string(), "concurrent poll() invocation");
}
