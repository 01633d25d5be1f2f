use std::mem::forget;

use loom::sync::Arc;

use crate::lock::{ForkLock, Guard, Lease, Purpose};
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

/// In a child it waits without end. So that the model ends, the owner is there, and lets go of the
/// lock.
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
        is_parents: Option<std::sync::Arc<()>>,
    }

    model(|| {
        let parents = std::sync::Arc::new(());
        let is_parents = Some(std::sync::Arc::clone(&parents));
        let shared = Arc::new(ForkLock::new(Counter { uses: 10, is_parents }));
        forget(lease(&shared));
        fork();
        let thread = spawn(&shared, increment);
        let mut uses = [increment(&shared), thread.join().unwrap()];
        uses.sort_unstable();
        assert!(matches!(uses, [None, Some(1)] | [Some(1), Some(2)]), "{uses:?}");
        let mut last = lease(&shared).unwrap();
        assert_eq!(last.get().map(|counter| counter.uses), uses[1]);
        assert_eq!(last.get().map(|counter| counter.is_parents.is_some()), Some(false));
        assert_eq!(std::sync::Arc::strong_count(&parents), 2, "the old value was dropped");
    });
}

#[test]
fn lease_of_the_forking_thread_goes_on_in_the_child_or_is_taken_over() {
    model(|| {
        let shared = Arc::new(ForkLock::new(1));
        let mut old = lease(&shared).unwrap();
        fork();
        let thread = spawn(&shared, |shared| {
            let mut new = shared.try_lease(|| 10)?;
            let value = new.get().expect("it was taken over in the same process");
            *value += 1;
            Some(*value)
        });
        let seen = old.get().map(|value| {
            *value += 1;
            *value
        });
        drop(old);
        let new = thread.join().unwrap();
        // The other thread was refused, or came after this one, or took the lease over.
        let expected = [(Some(2), None, 2), (Some(2), Some(3), 3), (None, Some(11), 11)];
        assert!(expected.contains(&(seen, new, value(shared).unwrap())), "{seen:?} {new:?}");
    });
}
