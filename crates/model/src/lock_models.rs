use std::mem::forget;
use std::sync::atomic::Ordering::SeqCst;

use loom::sync::Arc;

use crate::lock::{ForkLock, Guard, Lease, Purpose};
use crate::sync::AtomicU32;
use crate::sys::fork;
use crate::{model, spawn};

fn lock<T>(lock: &ForkLock<T>, purpose: Purpose) -> Guard<'_, T> {
    lock.lock(purpose, |_| panic!("it was taken over"))
}

fn lease<T>(lock: &ForkLock<T>) -> Option<Lease<'_, T>> {
    lock.try_lease(|| panic!("it was taken over"))
}

/// The value, after all threads that shared the lock have ended. `None`: the lock has an owner.
fn value<T: Copy>(mut lock: Arc<ForkLock<T>>) -> Option<T> {
    Arc::get_mut(&mut lock).expect("a thread shares the lock").get_mut().copied()
}

#[test]
fn one_thread_owns_the_lock_at_a_time() {
    model(|| {
        let shared = Arc::new(ForkLock::new(0));
        let threads = [Purpose::Reading, Purpose::Syncing]
            .map(|purpose| spawn(&shared, move |shared| *lock(shared, purpose) += 1));
        *lock(&shared, Purpose::Changing) += 1;
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(value(shared), Some(3));
    });
}

#[test]
fn two_threads_own_the_lock_by_turns() {
    fn increment_twice(shared: &ForkLock<i32>) {
        for purpose in [Purpose::Changing, Purpose::Syncing] {
            *lock(shared, purpose) += 1;
        }
    }

    model(|| {
        let shared = Arc::new(ForkLock::new(0));
        let thread = spawn(&shared, increment_twice);
        increment_twice(&shared);
        thread.join().unwrap();
        assert_eq!(value(shared), Some(4));
    });
}

#[test]
fn second_lease_is_refused_or_sees_the_writes_of_the_first() {
    fn increment(shared: &ForkLock<i32>) -> Option<i32> {
        let mut lease = lease(shared)?;
        *lease.get().unwrap() += 1;
        lease.get().copied()
    }

    model(|| {
        let shared = Arc::new(ForkLock::new(0));
        let thread = spawn(&shared, increment);
        let mut values = [increment(&shared), thread.join().unwrap()];
        values.sort_unstable();
        assert!(matches!(values, [None, Some(1)] | [Some(1), Some(2)]), "{values:?}");
        assert_eq!(value(shared), values[1]);
    });
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Repairable {
    repairs: u32,
    uses: u32,
}

#[test]
fn one_thread_of_a_child_takes_the_lock_over_and_repairs_the_value() {
    fn use_repaired(shared: &ForkLock<Repairable>, purpose: Purpose) {
        let mut value = shared.lock(purpose, |value| value.repairs += 1);
        assert_eq!(value.repairs, 1);
        value.uses += 1;
    }

    for owner in [Purpose::Reading, Purpose::Syncing] {
        model(move || {
            let mut shared = ForkLock::new(Repairable::default());
            forget(lock(&shared, owner));
            fork();
            assert_eq!(shared.get_mut(), None);
            let shared = Arc::new(shared);
            let threads = [Purpose::Reading, Purpose::Syncing]
                .map(|purpose| spawn(&shared, move |shared| use_repaired(shared, purpose)));
            use_repaired(&shared, Purpose::Changing);
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(value(shared), Some(Repairable { repairs: 1, uses: 3 }));
        });
    }
}

/// In a child it waits without end. Here the owner still runs and releases the lock, so that the model
/// ends.
#[test]
fn child_waits_for_an_owner_that_was_changing_the_value() {
    model(|| {
        let shared = Arc::new(ForkLock::new(0));
        let mut guard = lock(&shared, Purpose::Changing);
        fork();
        let threads = [Purpose::Reading, Purpose::Changing]
            .map(|purpose| spawn(&shared, move |shared| *lock(shared, purpose)));
        *guard = 1;
        drop(guard);
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [1, 1]);
    });
}

#[test]
fn one_thread_of_a_child_takes_a_lease_over_with_a_new_value() {
    fn increment(shared: &ForkLock<Counter>) -> Option<u32> {
        let mut lease = shared.try_lease(Counter::default)?;
        let counter = lease.get().unwrap();
        counter.uses += 1;
        Some(counter.uses)
    }

    #[derive(Default)]
    struct Counter {
        uses: u32,
        parents_token: Option<std::sync::Arc<()>>,
    }

    model(|| {
        let token = std::sync::Arc::new(());
        let parents_token = Some(std::sync::Arc::clone(&token));
        let shared = Arc::new(ForkLock::new(Counter { uses: 10, parents_token }));
        forget(lease(&shared));
        fork();
        let thread = spawn(&shared, increment);
        let mut uses = [increment(&shared), thread.join().unwrap()];
        uses.sort_unstable();
        assert!(matches!(uses, [None, Some(1)] | [Some(1), Some(2)]), "{uses:?}");
        let mut last = lease(&shared).unwrap();
        let counter = last.get().unwrap();
        assert_eq!(Some(counter.uses), uses[1]);
        assert!(counter.parents_token.is_none());
        assert_eq!(std::sync::Arc::strong_count(&token), 2, "the old value was dropped");
    });
}

#[test]
fn lease_of_the_forking_thread_goes_on_in_the_child_or_is_taken_over() {
    fn increment(lease: &mut Lease<'_, u32>) -> Option<u32> {
        *lease.get()? += 1;
        lease.get().copied()
    }

    fn increment_new(shared: &ForkLock<u32>) -> Option<u32> {
        increment(&mut shared.try_lease(|| 10)?)
    }

    model(|| {
        let shared = Arc::new(ForkLock::new(0));
        let mut old = lease(&shared).unwrap();
        fork();
        let thread = spawn(&shared, increment_new);
        let by_old = increment(&mut old);
        // If it was taken over, the lock stays with the new lease.
        drop(old);
        let values = [by_old, increment_new(&shared), thread.join().unwrap()];
        assert!(by_old.is_some() || values[2].is_some(), "{values:?}");
        let increments = values.iter().flatten().count() as u32;
        let first = if by_old.is_some() { 0 } else { 10 };
        assert_eq!(value(shared), Some(first + increments), "{values:?}");
    });
}

#[test]
fn lease_reports_at_its_end_that_it_was_notified() {
    model(|| {
        let shared = Arc::new(ForkLock::new(0));
        let mut first = lease(&shared).unwrap();
        let threads = [(); 2].map(|()| spawn(&shared, ForkLock::notify_lease));
        let first_is_notified = first.end();
        let mut second = lease(&shared).unwrap();
        assert_eq!(second.get(), Some(&mut 0));
        drop(first);
        assert!(second.get().is_some());
        let are_notified = threads.map(|thread| thread.join().unwrap());
        let second_is_notified = second.end();
        assert_eq!(are_notified.contains(&true), first_is_notified || second_is_notified);
        assert!(!shared.notify_lease(), "there is no lease");
        assert!(!lease(&shared).unwrap().end(), "a later lease was notified");
    });
}

#[test]
fn two_threads_notify_one_lease() {
    model(|| {
        let shared = Arc::new(ForkLock::new(0));
        let mut lease = lease(&shared).unwrap();
        let threads = [(); 2].map(|()| spawn(&shared, ForkLock::notify_lease));
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [true, true]);
        assert!(lease.end());
    });
}

#[test]
fn work_left_to_the_end_of_a_lease_sees_the_writes_of_the_notifying_thread() {
    model(|| {
        let shared = Arc::new((ForkLock::new(()), loom::cell::UnsafeCell::new(0)));
        let mut waiting = lease(&shared.0).unwrap();
        let thread = spawn(&shared, |(lock, work)| {
            // SAFETY: the other thread reads it after it was notified.
            work.with_mut(|work| unsafe { *work = 1 });
            lock.notify_lease()
        });
        if waiting.end() {
            // SAFETY: the other thread has written it before it has notified the lease.
            assert_eq!(shared.1.with(|work| unsafe { *work }), 1);
        }
        thread.join().unwrap();
    });
}

/// What a wait and `unregister` rely on: see [`ForkLock::notify_lease`].
#[test]
fn lease_is_notified_or_reads_the_value_that_was_stored_before() {
    model(|| {
        let shared = Arc::new((ForkLock::new(()), AtomicU32::new(0)));
        // The lock is released by stores of two kinds.
        drop(lease(&shared.0));
        lease(&shared.0).unwrap().end();
        let thread = spawn(&shared, |(lock, value)| {
            value.store(1, SeqCst);
            lock.notify_lease()
        });
        let mut lease = lease(&shared.0).unwrap();
        let value = shared.1.load(SeqCst);
        let was_notified = thread.join().unwrap();
        assert!(was_notified || value == 1);
        assert_eq!(lease.end(), was_notified);
    });
}

#[test]
fn child_does_not_notify_a_lease_of_its_parent() {
    for was_notified in [false, true] {
        model(move || {
            let shared = Arc::new(ForkLock::new(0));
            forget(lease(&shared));
            assert!(!was_notified || shared.notify_lease());
            fork();
            let thread = spawn(&shared, ForkLock::notify_lease);
            let mut new = shared.try_lease(|| 10).unwrap();
            assert_eq!(new.get(), Some(&mut 10));
            let is_notified = thread.join().unwrap();
            assert_eq!(new.end(), is_notified);
        });
    }
}

/// A notification belongs to the process: the child does the work that was left in it by itself.
#[test]
fn lease_that_goes_on_in_a_child_is_notified_in_the_child_alone() {
    for was_notified in [false, true] {
        model(move || {
            let shared = Arc::new(ForkLock::new(0));
            let mut old = lease(&shared).unwrap();
            assert!(!was_notified || shared.notify_lease());
            fork();
            let threads = [
                spawn(&shared, ForkLock::notify_lease),
                spawn(&shared, |shared| {
                    let Some(mut new) = shared.try_lease(|| 10) else { return false };
                    let is_new = *new.get().unwrap() == 10;
                    new.end();
                    is_new
                }),
            ];
            let is_valid = old.get().is_some();
            let is_notified = old.end();
            drop(old);
            let [has_notified, was_taken_over] = threads.map(|thread| thread.join().unwrap());
            assert!(is_valid != was_taken_over);
            assert!(!is_notified || has_notified && is_valid);
            assert_eq!(value(shared), Some(if is_valid { 0 } else { 10 }));
        });
    }
}
