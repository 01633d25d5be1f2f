//! The program closes the descriptor of the instance, or reuses it for a foreign file.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use pollset::{Engine, PollFlags, PollSet};
use rustix::event::epoll;

use super::{
    close_fd, entries, half_ready_counters, instance_fd, new_epoll, owned_counter, poll_until,
    polled_set, replace_fd,
};
use crate::helpers::{MILLISECOND, event_counters};
use crate::util::open_fds::epoll_instances;
use crate::util::oracle::{assert_matches_kernel, kernel_poll};
use crate::util::process::in_own_process;
use crate::util::wait::while_waiting;
use crate::util::{NOW, event, kinds};

fn is_open(number: RawFd) -> bool {
    // SAFETY: it takes numbers only.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Polls until the set reports the events of poll(2) in the kernel.
#[track_caller]
fn poll_until_agrees(set: &PollSet) {
    let registered: Vec<_> = set.iter().collect();
    poll_until(set, |events| events == kernel_poll(&registered));
    assert_matches_kernel(set);
}

/// Registers, waits and unregisters, and expects the events of poll(2) in the kernel.
fn exercise(set: &PollSet) {
    for mask in [PollFlags::IN, PollFlags::OUT, PollFlags::IN | PollFlags::OUT] {
        let new = kinds::eventfd(1);
        set.register(&new, mask).unwrap();
        assert_matches_kernel(set);
        new.drain();
        assert_matches_kernel(set);
        set.unregister(&new).unwrap();
        assert_matches_kernel(set);
    }
}

/// The set does not close the foreign file on `number` when it is dropped.
#[track_caller]
fn assert_leaves_open(set: PollSet, number: RawFd, name: &str) {
    drop(set);
    assert!(is_open(number), "{name}");
    close_fd(number);
}

#[test]
fn set_agrees_with_kernel_after_its_instance_is_closed() {
    in_own_process(|| {
        let fds = half_ready_counters(20);
        let set = polled_set(&fds);
        for _ in 0..3 {
            close_fd(instance_fd());
            exercise(&set);
            while epoll_instances().is_empty() {
                assert_matches_kernel(&set);
            }
            assert_eq!(assert_matches_kernel(&set).len(), 10);
        }
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn set_with_fallback_agrees_with_kernel_after_its_instance_is_closed() {
    in_own_process(|| {
        let fds = half_ready_counters(20);
        let file = kinds::regular_file();
        let set = polled_set(fds.iter().chain([&file]));
        close_fd(instance_fd());
        exercise(&set);
        assert_eq!(assert_matches_kernel(&set).len(), 11);
    });
}

#[test]
fn closing_the_instance_during_wait_does_not_lose_events() {
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let set = polled_set(&fds);
        let events = while_waiting(&set, None, || {
            close_fd(instance_fd());
            std::thread::sleep(100 * MILLISECOND);
            fds[7].increment();
        });
        assert_eq!(events.unwrap(), [event(&fds[7], PollFlags::IN)]);
        exercise(&set);
    });
}

/// An instance that doesn't belong to the set, and reports `token`.
fn ready_instance(token: u64) -> Opened {
    let (epoll, ready) = (new_epoll(), owned_counter(1));
    epoll::add(&epoll, &ready, epoll::EventData::new_u64(token), epoll::EventFlags::IN).unwrap();
    (epoll, vec![ready])
}

/// A foreign file, and the files that must stay open with it.
type Opened = (OwnedFd, Vec<OwnedFd>);
type Foreign = (&'static str, fn() -> Opened);

const FOREIGN_FILES: [Foreign; 7] = [
    ("idle pipe", || {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        (reader, vec![writer])
    }),
    ("pipe without writer", || (rustix::pipe::pipe().unwrap().0, vec![])),
    ("ready event counter", || (owned_counter(1), vec![])),
    ("/dev/null", || (std::fs::File::open("/dev/null").unwrap().into(), vec![])),
    ("idle instance", || (new_epoll(), vec![])),
    ("instance with fds as tokens", || ready_instance(5)),
    ("instance with addresses as tokens", || ready_instance(0x7fff_0000_0005)),
];

#[test]
fn foreign_file_on_the_fd_of_the_instance_is_detected_and_not_closed() {
    in_own_process(|| {
        for (name, open) in FOREIGN_FILES {
            eprintln!("{name}");
            let fds = half_ready_counters(20);
            let set = polled_set(&fds);
            let number = instance_fd();
            let (foreign, _others) = open();
            replace_fd(number, &foreign);
            poll_until_agrees(&set);
            exercise(&set);
            assert_leaves_open(set, number, name);
        }
    });
}

#[test]
fn detected_foreign_instance_is_not_modified() {
    in_own_process(|| {
        for open in [|| (new_epoll(), vec![]), || ready_instance(5)] {
            let fds = half_ready_counters(20);
            let set = polled_set(&fds);
            let number = instance_fd();
            let (foreign, _others) = open();
            let before = entries(foreign.as_raw_fd());
            replace_fd(number, &foreign);
            poll_until_agrees(&set);
            exercise(&set);
            assert_eq!(entries(number), before);
            close_fd(number);
        }
    });
}

/// The wait continues on poll(2) without polling again the descriptors whose events it has.
#[test]
fn one_time_event_is_not_lost_with_the_instance() {
    in_own_process(|| {
        let Ok(record) = kinds::perf_event() else {
            return eprintln!("not tested: no perf events");
        };
        for open in [|| (owned_counter(1), vec![]), || ready_instance(5)] {
            let fds = event_counters(20, 0);
            let set = polled_set(&fds);
            set.register(&record, PollFlags::IN).unwrap();
            set.poll(NOW).unwrap();
            let number = instance_fd();
            let (foreign, _others) = open();
            record.add();
            replace_fd(number, &foreign);
            assert_eq!(set.poll(NOW).unwrap(), [event(&record, PollFlags::IN)]);
            assert_eq!(set.poll(NOW).unwrap(), []);
            assert_eq!(set.stats().refused, 1);
            close_fd(number);
        }
    });
}

#[test]
fn entries_of_a_foreign_instance_are_not_modified() {
    let changes: [fn(&PollSet, RawFd, RawFd); 2] = [
        |set, _, other| set.register(other, PollFlags::OUT).unwrap(),
        |set, own, _| set.modify(own, PollFlags::OUT).unwrap(),
    ];
    in_own_process(|| {
        for change in changes {
            let fds = half_ready_counters(20);
            let set = polled_set(&fds);
            let number = instance_fd();
            let (foreign, others) = ready_instance(5);
            let before = entries(foreign.as_raw_fd());
            replace_fd(number, &foreign);
            change(&set, fds[7].number(), others[0].as_raw_fd());
            assert_matches_kernel(&set);
            assert_eq!(entries(foreign.as_raw_fd()), before);
            assert_leaves_open(set, number, "instance");
        }
    });
}

#[test]
fn entries_of_a_foreign_instance_are_not_deleted_after_detection() {
    in_own_process(|| {
        for waits in [false, true] {
            let fds = half_ready_counters(20);
            let (foreign, others) = ready_instance(5);
            let set = polled_set(&fds);
            let is_own = |number: &RawFd| *number != foreign.as_raw_fd();
            let number = epoll_instances().into_iter().find(is_own).unwrap();
            set.register(&others[0], PollFlags::IN).unwrap();
            assert_matches_kernel(&set);
            let before = entries(foreign.as_raw_fd());
            replace_fd(number, &foreign);
            set.unregister(&fds[7]).unwrap();
            if waits {
                set.register(&fds[7], PollFlags::IN).unwrap();
                assert_matches_kernel(&set);
            }
            set.unregister(&others[0]).unwrap();
            assert_matches_kernel(&set);
            assert_eq!(entries(foreign.as_raw_fd()), before);
            assert_leaves_open(set, number, "instance");
        }
    });
}

#[test]
fn two_sets_on_one_instance_fd_do_not_report_events_of_each_other() {
    in_own_process(|| {
        let fds = event_counters(20, 0);
        let others = event_counters(20, 1);
        let set = polled_set(&fds);
        let number = instance_fd();
        close_fd(number);
        let other = polled_set(&others);
        assert_eq!(instance_fd(), number);

        assert_eq!(set.poll(NOW).unwrap(), []);
        poll_until_agrees(&set);
        poll_until_agrees(&other);
        drop(set);
        assert!(is_open(number));
        assert_eq!(assert_matches_kernel(&other).len(), 20);
    });
}

#[test]
fn foreign_file_is_detected_and_not_closed_with_fallback() {
    in_own_process(|| {
        for (name, open) in FOREIGN_FILES {
            eprintln!("{name}");
            let fds = half_ready_counters(20);
            let file = kinds::regular_file();
            let set = polled_set(fds.iter().chain([&file]));
            let number = instance_fd();
            let (foreign, _others) = open();
            replace_fd(number, &foreign);
            poll_until_agrees(&set);
            exercise(&set);
            assert_leaves_open(set, number, name);
        }
    });
}

#[test]
fn foreign_file_during_wait_does_not_lose_events() {
    in_own_process(|| {
        for (name, open) in FOREIGN_FILES {
            eprintln!("{name}");
            let fds = event_counters(20, 0);
            let set = polled_set(&fds);
            let number = instance_fd();
            let (foreign, _others) = open();
            let events = while_waiting(&set, None, || {
                replace_fd(number, &foreign);
                std::thread::sleep(100 * MILLISECOND);
                fds[7].increment();
            });
            assert_eq!(events.unwrap(), [event(&fds[7], PollFlags::IN)]);
            poll_until_agrees(&set);
            exercise(&set);
            assert_leaves_open(set, number, name);
        }
    });
}

#[test]
fn foreign_file_with_the_same_owner_tag_is_not_closed_after_detection() {
    const F_SETSIG: i32 = 10;
    const F_GETSIG: i32 = 11;
    in_own_process(|| {
        // No call fails on an idle instance, so it can't be detected.
        let detectable = FOREIGN_FILES.into_iter().filter(|(name, _)| *name != "idle instance");
        for (name, open) in detectable {
            eprintln!("{name}");
            let fds = half_ready_counters(20);
            let set = polled_set(&fds);
            let number = instance_fd();
            let (foreign, _others) = open();
            // SAFETY: they take numbers.
            unsafe {
                let owner_tag = libc::fcntl(number, F_GETSIG);
                assert_eq!(libc::fcntl(foreign.as_raw_fd(), F_SETSIG, owner_tag), 0);
            }
            replace_fd(number, &foreign);
            poll_until_agrees(&set);
            assert_leaves_open(set, number, name);
        }
    });
}

#[test]
fn foreign_file_is_not_closed_by_drop_without_another_wait() {
    in_own_process(|| {
        for (name, open) in FOREIGN_FILES {
            eprintln!("{name}");
            let fds = event_counters(20, 0);
            let set = polled_set(&fds);
            let number = instance_fd();
            let (foreign, _others) = open();
            replace_fd(number, &foreign);
            assert_leaves_open(set, number, name);
        }
    });
}
