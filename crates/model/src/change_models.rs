use std::mem::forget;
use std::sync::atomic::Ordering::{Acquire, Release};

use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;

use crate::shared::{Fd, Shared};
use crate::sys::fork;
use crate::{model, spawn};

fn wait(shared: &Shared) -> Vec<Fd> {
    shared.wait().expect("another wait has the engines")
}

#[test]
fn wait_takes_the_changes_that_happened_before_it() {
    model(|| {
        let shared = Arc::new(Shared::new(&[]));
        let is_registered = Arc::new(AtomicBool::new(false));
        let changer = spawn(&shared, {
            let is_registered = Arc::clone(&is_registered);
            move |shared| {
                shared.register(1);
                is_registered.store(true, Release);
                shared.register(2);
            }
        });
        for _ in 0..2 {
            let must_see = is_registered.load(Acquire);
            let fds = wait(&shared);
            assert!(!must_see || fds.contains(&1));
        }
        changer.join().unwrap();
        assert_eq!(wait(&shared), [1, 2]);
    });
}

#[test]
fn no_change_is_lost_between_two_changers_and_two_waits() {
    model(|| {
        let shared = Arc::new(Shared::new(&[1]));
        let changers = [
            spawn(&shared, |shared| assert!(shared.unregister(1))),
            spawn(&shared, |shared| shared.register(2)),
        ];
        assert!(matches!(&*wait(&shared), [] | [1] | [2] | [1, 2]));
        for changer in changers {
            changer.join().unwrap();
        }
        assert_eq!(wait(&shared), [2]);
    });
}

#[test]
fn no_change_is_lost_between_waits_of_two_threads() {
    model(|| {
        let shared = Arc::new(Shared::new(&[1]));
        let changer = spawn(&shared, |shared| shared.register(2));
        let waiter = spawn(&shared, Shared::wait);
        let waits = [shared.wait(), waiter.join().unwrap()];
        assert_ne!(waits, [None, None]);
        for fds in waits.iter().flatten() {
            assert!(matches!(**fds, [1] | [1, 2]), "{fds:?}");
        }
        changer.join().unwrap();
        assert_eq!(wait(&shared), [1, 2]);
    });
}

#[test]
fn unregister_during_wait_takes_effect_at_next_wait() {
    model(|| {
        let shared = Arc::new(Shared::new(&[1, 2]));
        let changer = spawn(&shared, |shared| assert!(shared.unregister(1)));
        let mut waiting = shared.start().unwrap();
        let fds = waiting.poll().unwrap();
        assert!(matches!(*fds, [1, 2] | [2]));
        // It doesn't wait for the lease.
        changer.join().unwrap();
        assert!(shared.wait().is_none());
        assert_eq!(waiting.poll(), Some(fds));
        drop(waiting);
        assert_eq!(wait(&shared), [2]);
    });
}

/// A thread of the parent had taken a change off the list, and the engines didn't have it yet.
fn test_child_of_a_process_that_was_taking_changes(are_engines_leased: bool, registers: bool) {
    model(move || {
        let shared = Arc::new(Shared::new(&[1, 2]));
        assert_eq!(wait(&shared), [1, 2]);
        assert!(shared.unregister(1));
        let waiting = shared.start().unwrap();
        shared.prepare_in_part();
        if are_engines_leased {
            forget(waiting);
        } else {
            drop(waiting);
        }
        fork();
        let thread = spawn(&shared, move |shared| {
            if registers {
                shared.register(3);
            } else {
                assert_eq!(shared.count(), 1);
            }
        });
        let fds = wait(&shared);
        assert!(matches!(*fds, [2] | [2, 3]) || !are_engines_leased, "{fds:?}");
        thread.join().unwrap();
        let expected: &[Fd] = if registers { &[2, 3] } else { &[2] };
        assert_eq!(wait(&shared), expected);
    });
}

#[test]
fn child_takes_all_changes_that_a_thread_of_the_parent_was_taking() {
    for registers in [false, true] {
        test_child_of_a_process_that_was_taking_changes(true, registers);
    }
}

/// In the library the engines are new in this case, because the thread that takes the changes has
/// leased them. The repair of the registrations doesn't rely on that.
#[test]
fn child_takes_all_changes_with_engines_that_it_keeps() {
    for registers in [false, true] {
        test_child_of_a_process_that_was_taking_changes(false, registers);
    }
}

#[test]
fn child_of_a_process_that_was_waiting_takes_all_registrations() {
    model(|| {
        let shared = Arc::new(Shared::new(&[1]));
        let mut waiting = shared.start().unwrap();
        assert_eq!(waiting.poll().unwrap(), [1]);
        forget(waiting);
        fork();
        let changer = spawn(&shared, |shared| shared.register(2));
        let waiter = spawn(&shared, Shared::wait);
        let waits = [shared.wait(), waiter.join().unwrap()];
        assert_ne!(waits, [None, None]);
        for fds in waits.iter().flatten() {
            assert!(matches!(**fds, [1] | [1, 2]), "{fds:?}");
        }
        changer.join().unwrap();
        assert_eq!(wait(&shared), [1, 2]);
    });
}

/// As after a fork in a signal handler: the wait goes on in the child, unless another one has taken
/// the engines over.
#[test]
fn wait_of_the_forking_thread_and_another_wait_of_the_child_take_all_registrations() {
    model(|| {
        let shared = Arc::new(Shared::new(&[1]));
        let mut waiting = shared.start().unwrap();
        fork();
        let waiter = spawn(&shared, Shared::wait);
        let first = waiting.poll();
        drop(waiting);
        let waits = [first, waiter.join().unwrap()];
        assert_ne!(waits, [None, None]);
        for fds in waits.iter().flatten() {
            assert_eq!(*fds, [1]);
        }
        shared.register(2);
        assert_eq!(wait(&shared), [1, 2]);
    });
}
