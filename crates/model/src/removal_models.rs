//! Unregistering: when the entries are deleted from the epoll instance. [`Waiting::poll`] checks that
//! a wait finds the entries of its descriptors; the instance, that an entry is deleted once, and in
//! the process that has opened it.

use std::mem::forget;
use std::sync::atomic::Ordering::{Acquire, Release};

use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread::JoinHandle;

use crate::shared::{Fd, Shared, Waiting};
use crate::sys::fork;
use crate::{model, spawn};

/// A set whose registrations have their entries.
fn polled_set(fds: &[Fd]) -> Arc<Shared> {
    let shared = Arc::new(Shared::new(fds));
    assert_eq!(shared.wait().unwrap(), fds);
    assert_eq!(shared.installed(), fds);
    shared
}

/// Another thread that unregisters a descriptor.
struct Unregistration {
    fd: Fd,
    has_returned: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Unregistration {
    fn start(shared: &Arc<Shared>, fd: Fd) -> Self {
        let has_returned = Arc::new(AtomicBool::new(false));
        let thread = spawn(shared, {
            let has_returned = Arc::clone(&has_returned);
            move |shared| {
                assert!(shared.unregister(fd));
                has_returned.store(true, Release);
            }
        });
        Self { fd, has_returned, thread }
    }

    /// While no wait is in progress, the entry is deleted if the call has returned.
    fn check(&self, shared: &Shared) {
        if self.has_returned.load(Acquire) {
            assert!(!shared.installed().contains(&self.fd), "the entry of {} was left", self.fd);
        }
    }

    fn join(self) {
        self.thread.join().unwrap();
    }
}

fn wait_and_poll_again(mut waiting: Waiting<'_>) {
    let fds = waiting.poll();
    assert_eq!(waiting.poll(), fds);
}

#[test]
fn entry_is_deleted_when_unregister_has_returned_and_the_wait_has_ended() {
    model(|| {
        let shared = polled_set(&[1, 2]);
        let unregistration = Unregistration::start(&shared, 1);
        wait_and_poll_again(shared.start().unwrap());
        unregistration.check(&shared);
        unregistration.join();
        assert_eq!(shared.installed(), [2]);
        assert_eq!(shared.wait().unwrap(), [2]);
    });
}

#[test]
fn entry_is_deleted_when_a_wait_ends_before_its_first_step() {
    model(|| {
        let shared = polled_set(&[1, 2]);
        let unregistration = Unregistration::start(&shared, 1);
        drop(shared.start());
        unregistration.check(&shared);
        unregistration.join();
        assert_eq!(shared.installed(), [2]);
    });
}

#[test]
fn entries_of_two_unregister_calls_during_a_wait_are_deleted_at_its_end() {
    model(|| {
        let shared = polled_set(&[1, 2, 3]);
        let threads = [1, 2].map(|fd| spawn(&shared, move |shared| shared.unregister(fd)));
        wait_and_poll_again(shared.start().unwrap());
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [true, true]);
        assert_eq!(shared.installed(), [3]);
    });
}

/// Unregisters `fd` during a wait, which still polls it. False: another wait was in progress.
fn unregister_during_wait(shared: &Shared, fd: Fd) -> bool {
    let Some(mut waiting) = shared.start() else { return false };
    let fds = waiting.poll().unwrap();
    assert!(fds.contains(&fd));
    assert!(shared.unregister(fd));
    assert_eq!(waiting.poll(), Some(fds));
    true
}

#[test]
fn unregister_deletes_no_entries_that_another_thread_has_left_to_a_new_wait() {
    model(|| {
        let shared = polled_set(&[1, 2, 3]);
        let waiter = spawn(&shared, |shared| unregister_during_wait(shared, 2));
        assert!(shared.unregister(1));
        assert!(waiter.join().unwrap());
        assert_eq!(shared.installed(), [3]);
    });
}

/// There are more than are deleted before other threads get the lock.
#[test]
fn end_of_a_wait_deletes_no_entries_that_another_thread_has_left_to_the_next_wait() {
    model(|| {
        let shared = polled_set(&[1, 2, 3, 4]);
        let mut waiting = shared.start().unwrap();
        assert!(waiting.poll().is_some());
        assert!(shared.unregister(1) && shared.unregister(2));
        let waiter = spawn(&shared, |shared| unregister_during_wait(shared, 3));
        drop(waiting);
        let expected: &[Fd] = if waiter.join().unwrap() { &[4] } else { &[3, 4] };
        assert_eq!(shared.installed(), expected);
    });
}

#[test]
fn entry_is_deleted_between_the_end_of_a_wait_and_the_next() {
    model(|| {
        let shared = polled_set(&[1, 2]);
        let unregistration = Unregistration::start(&shared, 1);
        for _ in 0..2 {
            wait_and_poll_again(shared.start().unwrap());
            unregistration.check(&shared);
        }
        unregistration.join();
        assert_eq!(shared.installed(), [2]);
    });
}

#[test]
fn entry_is_deleted_after_the_waits_of_two_threads() {
    model(|| {
        let shared = polled_set(&[1, 2]);
        let unregistration = Unregistration::start(&shared, 1);
        let waiter = spawn(&shared, |shared| shared.start().map(wait_and_poll_again));
        let is_refused = shared.start().map(wait_and_poll_again).is_none();
        assert!(waiter.join().unwrap().is_some() || !is_refused);
        unregistration.check(&shared);
        unregistration.join();
        assert_eq!(shared.installed(), [2]);
    });
}

/// A descriptor that is registered again during a wait gets a new entry at the next wait.
#[test]
fn entry_of_a_descriptor_that_is_registered_again_is_deleted_before_it_is_added() {
    model(|| {
        let shared = polled_set(&[1, 2]);
        let changer = spawn(&shared, |shared| {
            assert!(shared.unregister(1));
            shared.register(1);
        });
        wait_and_poll_again(shared.start().unwrap());
        changer.join().unwrap();
        assert_eq!(shared.wait().unwrap(), [1, 2]);
        assert_eq!(shared.installed(), [1, 2]);
    });
}

/// The child has the parent's list of entries to delete, and leaves the parent's instance alone. No
/// thread of the parent had locked the registrations.
#[test]
fn child_deletes_no_entry_of_its_parent() {
    for is_waiting_thread in [false, true] {
        model(move || {
            let shared = polled_set(&[1, 2, 3]);
            let mut waiting = shared.start();
            assert_eq!(waiting.as_mut().unwrap().poll().unwrap(), [1, 2, 3]);
            assert!(shared.unregister(1));
            if !is_waiting_thread {
                forget(waiting.take());
            }
            fork();
            let unregistration = Unregistration::start(&shared, 2);
            if let Some(mut waiting) = waiting {
                assert!(matches!(*waiting.poll().unwrap(), [2, 3] | [3] | [1, 2, 3]));
            } else {
                wait_and_poll_again(shared.start().unwrap());
            }
            unregistration.join();
            assert_eq!(shared.wait().unwrap(), [3]);
            assert_eq!(shared.installed(), [3]);
        });
    }
}
