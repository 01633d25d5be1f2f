use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pollset::{ConcurrentPoll, Event, PollSet, Timeout};

use super::signal::Thread;

/// Runs `meanwhile` while another thread waits on `set`, without a timeout if `None`.
///
/// Returns what that wait returned. `meanwhile` has to end it, and begins after the wait is known
/// to have seen all earlier changes: the thread was interrupted in it.
pub fn while_waiting(
    set: &PollSet,
    timeout: impl Into<Timeout>,
    meanwhile: impl FnOnce(),
) -> io::Result<Vec<Event>> {
    let timeout = timeout.into();
    let inside = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let inside = &inside;
        let waiter = scope.spawn(move || {
            sender.send(Thread::current()).unwrap();
            let mut events = Vec::new();
            set.poll_interruptible(&mut events, timeout, || {
                inside.store(true, Ordering::Release);
                ControlFlow::Continue(())
            })?;
            Ok(events)
        });
        let thread = receiver.recv().unwrap();
        while !inside.load(Ordering::Acquire) && !waiter.is_finished() {
            thread.interrupt();
            thread::sleep(Duration::from_micros(50));
        }
        meanwhile();
        waiter.join().unwrap()
    })
}

#[track_caller]
pub fn assert_busy(outcome: io::Result<Vec<Event>>) {
    let error = outcome.expect_err("a wait is in progress");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>()));
    assert_eq!(error.to_string(), "concurrent poll() invocation");
}
