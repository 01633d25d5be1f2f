//! Somebody closes the instance's own descriptor, or puts another file on its number.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Engine, PollFlags, PollSet};
use rustix::event::epoll;

use super::{asked, counter, instance, instances, new_epoll, watched};
use crate::util::oracle::{assert_agrees, kernel_poll};
use crate::util::process::alone;
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, kinds};

fn close(number: RawFd) {
    // SAFETY: it is open, and the set, whose it is, has to cope.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}

/// Puts `file` on `number`, which nobody owns afterwards.
fn replace(number: RawFd, file: &OwnedFd) {
    // SAFETY: the set, whose number it is, has to cope.
    let outcome = unsafe { libc::dup2(file.as_raw_fd(), number) };
    assert_eq!(outcome, number);
}

fn is_open(number: RawFd) -> bool {
    // SAFETY: it takes numbers only.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// It answers what the kernel answers, from some moment on.
#[track_caller]
fn comes_to_agree(set: &PollSet) {
    let registered: Vec<_> = set.iter().collect();
    let start = Instant::now();
    while set.poll(NOW).unwrap() != kernel_poll(&registered) {
        assert!(start.elapsed() < LONG);
    }
    assert_agrees(set);
}

/// Registers, waits and unregisters, and expects exact answers.
fn exercise(set: &PollSet) {
    for mask in [PollFlags::IN, PollFlags::OUT, PollFlags::IN | PollFlags::OUT] {
        let new = kinds::event_counter(1);
        set.register(&new, mask).unwrap();
        assert_agrees(set);
        new.drain();
        assert_agrees(set);
        set.unregister(&new).unwrap();
        assert_agrees(set);
    }
}

/// The set closes nothing that isn't its own when it is dropped.
#[track_caller]
fn assert_leaves_open(set: PollSet, number: i32, what: &str) {
    drop(set);
    assert!(is_open(number), "{what}");
    close(number);
}

#[test]
fn a_closed_instance_changes_no_answer() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
        let set = asked(&fds);
        for _ in 0..3 {
            close(instance());
            exercise(&set);
            while instances().is_empty() {
                assert_agrees(&set);
            }
            assert_eq!(assert_agrees(&set).len(), 10);
        }
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn an_instance_closed_beside_what_epoll_refuses_changes_no_answer() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
        let file = kinds::regular_file();
        let set = asked(fds.iter().chain([&file]));
        close(instance());
        exercise(&set);
        assert_eq!(assert_agrees(&set).len(), 11);
    });
}

#[test]
fn an_instance_closed_during_a_wait_does_not_keep_it_from_ending() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
        let set = asked(&fds);
        let events = while_waiting(&set, None, || {
            close(instance());
            std::thread::sleep(Duration::from_millis(100));
            fds[7].increment();
        });
        assert_eq!(events.unwrap(), [event(&fds[7], PollFlags::IN)]);
        exercise(&set);
    });
}

/// An instance of somebody else that reports `token`.
fn busy_instance(token: u64) -> Made {
    let (epoll, ready) = (new_epoll(), counter(1));
    epoll::add(&epoll, &ready, epoll::EventData::new_u64(token), epoll::EventFlags::IN).unwrap();
    (epoll, vec![ready])
}

/// A file, and what must live as long as it.
type Made = (OwnedFd, Vec<OwnedFd>);
type Stranger = (&'static str, fn() -> Made);

const STRANGERS: [Stranger; 7] = [
    ("idle pipe", || {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader.into(), vec![writer.into()])
    }),
    ("pipe without writer", || (std::io::pipe().unwrap().0.into(), vec![])),
    ("ready event counter", || (counter(1), vec![])),
    ("/dev/null", || (std::fs::File::open("/dev/null").unwrap().into(), vec![])),
    ("idle instance", || (new_epoll(), vec![])),
    ("instance that goes by numbers", || busy_instance(5)),
    ("instance that goes by addresses", || busy_instance(0x7fff_0000_0005)),
];

#[test]
fn a_stranger_on_the_instances_number_is_found_out_and_not_closed() {
    alone(|| {
        for (what, make) in STRANGERS {
            eprintln!("{what}");
            let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
            let set = asked(&fds);
            let number = instance();
            let (stranger, _others) = make();
            replace(number, &stranger);
            comes_to_agree(&set);
            exercise(&set);
            assert_leaves_open(set, number, what);
        }
    });
}

#[test]
fn another_instance_that_was_found_out_is_as_it_was() {
    alone(|| {
        for make in [|| (new_epoll(), vec![]), || busy_instance(5)] {
            let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
            let set = asked(&fds);
            let number = instance();
            let (stranger, _others) = make();
            let before = watched(stranger.as_raw_fd());
            replace(number, &stranger);
            comes_to_agree(&set);
            exercise(&set);
            assert_eq!(watched(number), before);
            close(number);
        }
    });
}

/// It goes on with poll(2), and doesn't ask again what has answered already.
#[test]
fn what_is_told_once_is_not_lost_with_the_instance() {
    alone(|| {
        let Ok(record) = kinds::record() else { return eprintln!("not tested: no perf events") };
        for make in [|| (counter(1), vec![]), || busy_instance(5)] {
            let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
            let set = asked(&fds);
            set.register(&record, PollFlags::IN).unwrap();
            set.poll(NOW).unwrap();
            let number = instance();
            let (stranger, _others) = make();
            record.add();
            replace(number, &stranger);
            assert_eq!(set.poll(NOW).unwrap(), [event(&record, PollFlags::IN)]);
            assert_eq!(set.poll(NOW).unwrap(), []);
            assert_eq!(set.stats().refused, 1);
            close(number);
        }
    });
}

/// What an instance watches, for what, and with which tokens.
fn entries(instance: &OwnedFd) -> String {
    let path = format!("/proc/self/fdinfo/{}", instance.as_raw_fd());
    let info = std::fs::read_to_string(path).unwrap();
    info.lines().filter(|line| line.starts_with("tfd:")).collect()
}

#[test]
fn what_another_instance_watches_is_not_taken_over() {
    let changes: [fn(&PollSet, RawFd, RawFd); 2] = [
        |set, _, theirs| set.register(theirs, PollFlags::OUT).unwrap(),
        |set, ours, _| set.modify(ours, PollFlags::OUT).unwrap(),
    ];
    alone(|| {
        for change in changes {
            let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
            let set = asked(&fds);
            let number = instance();
            let (stranger, theirs) = busy_instance(5);
            let before = entries(&stranger);
            replace(number, &stranger);
            change(&set, fds[7].number(), theirs[0].as_raw_fd());
            assert_agrees(&set);
            assert_eq!(entries(&stranger), before);
            assert_leaves_open(set, number, "instance");
        }
    });
}

#[test]
fn what_another_instance_watches_is_not_deleted_once_a_call_has_shown_it() {
    alone(|| {
        for waits in [false, true] {
            let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
            let (stranger, theirs) = busy_instance(5);
            let set = asked(&fds);
            let others = [stranger.as_raw_fd()];
            let number = *instances().iter().find(|number| !others.contains(number)).unwrap();
            set.register(&theirs[0], PollFlags::IN).unwrap();
            assert_agrees(&set);
            let before = entries(&stranger);
            replace(number, &stranger);
            set.unregister(&fds[7]).unwrap();
            if waits {
                set.register(&fds[7], PollFlags::IN).unwrap();
                assert_agrees(&set);
            }
            set.unregister(&theirs[0]).unwrap();
            assert_agrees(&set);
            assert_eq!(entries(&stranger), before);
            assert_leaves_open(set, number, "instance");
        }
    });
}

#[test]
fn two_sets_whose_instances_came_to_share_a_number_do_not_take_each_others_events() {
    alone(|| {
        let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
        let others: Vec<_> = (0..20).map(|_| kinds::event_counter(1)).collect();
        let set = asked(&fds);
        let number = instance();
        close(number);
        let other = asked(&others);
        assert_eq!(instance(), number);

        assert_eq!(set.poll(NOW).unwrap(), []);
        comes_to_agree(&set);
        comes_to_agree(&other);
        drop(set);
        assert!(is_open(number));
        assert_eq!(assert_agrees(&other).len(), 20);
    });
}

#[test]
fn a_stranger_on_the_instances_number_beside_what_epoll_refuses_is_not_closed() {
    alone(|| {
        for (what, make) in STRANGERS {
            eprintln!("{what}");
            let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
            let file = kinds::regular_file();
            let set = asked(fds.iter().chain([&file]));
            let number = instance();
            let (stranger, _others) = make();
            replace(number, &stranger);
            comes_to_agree(&set);
            exercise(&set);
            assert_leaves_open(set, number, what);
        }
    });
}

#[test]
fn a_stranger_that_came_during_a_wait_does_not_keep_it_from_ending() {
    alone(|| {
        for (what, make) in STRANGERS {
            eprintln!("{what}");
            let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
            let set = asked(&fds);
            let number = instance();
            let (stranger, _others) = make();
            let events = while_waiting(&set, None, || {
                replace(number, &stranger);
                std::thread::sleep(Duration::from_millis(100));
                fds[7].increment();
            });
            assert_eq!(events.unwrap(), [event(&fds[7], PollFlags::IN)]);
            comes_to_agree(&set);
            exercise(&set);
            assert_leaves_open(set, number, what);
        }
    });
}

#[test]
fn a_stranger_that_bears_the_mark_by_chance_is_not_closed_once_a_call_has_shown_it() {
    const F_SETSIG: i32 = 10;
    const F_GETSIG: i32 = 11;
    alone(|| {
        // There is no call that an idle instance would fail.
        for (what, make) in STRANGERS.into_iter().filter(|(what, _)| *what != "idle instance") {
            eprintln!("{what}");
            let fds: Vec<_> = (0..20).map(|i| kinds::event_counter(i % 2)).collect();
            let set = asked(&fds);
            let number = instance();
            let (stranger, _others) = make();
            // SAFETY: they take numbers.
            unsafe {
                let mark = libc::fcntl(number, F_GETSIG);
                assert_eq!(libc::fcntl(stranger.as_raw_fd(), F_SETSIG, mark), 0);
            }
            replace(number, &stranger);
            comes_to_agree(&set);
            assert_leaves_open(set, number, what);
        }
    });
}

#[test]
fn a_stranger_is_not_closed_by_a_set_that_is_dropped_without_another_wait() {
    alone(|| {
        for (what, make) in STRANGERS {
            eprintln!("{what}");
            let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
            let set = asked(&fds);
            let number = instance();
            let (stranger, _others) = make();
            replace(number, &stranger);
            assert_leaves_open(set, number, what);
        }
    });
}
