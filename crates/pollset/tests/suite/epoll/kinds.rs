//! Kinds of files whose readiness epoll doesn't learn of, or not in time: no queue of waiters yet,
//! no waiter woken, an answer that depends on who asks or is consumed by asking.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use pollset::{Builder, Engine, Event, PollFlags, PollSet};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{asked, instance, watched};
use crate::util::fd::Fd;
use crate::util::kinds::{self, Kind};
use crate::util::oracle::{assert_agrees, kernel_poll, until_kernel_reports};
use crate::util::process::{Child, alone};
use crate::util::twist::twist;
use crate::util::{LONG, NOW, event};

/// How a set has come to be asked about a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    engine: Engine,
    /// How many idle descriptors are registered, too.
    idle: usize,
    /// The file is registered after the set has moved to the engine, not before.
    pub is_late: bool,
}

const SMALL: usize = 2;
const LARGE: usize = 100;

impl Place {
    fn all() -> impl Iterator<Item = Self> {
        let late = |(engine, idle)| [false, true].map(|is_late| Self { engine, idle, is_late });
        let engines = [Engine::Poll, Engine::Epoll].into_iter();
        let engines = engines.flat_map(|engine| [(engine, SMALL), (engine, LARGE)]);
        engines.chain([(Engine::Auto, LARGE)]).flat_map(late)
    }

    /// The same, with more that is idle.
    pub fn beside(self, idle: usize) -> Self {
        Self { idle: idle.max(self.idle), ..self }
    }

    pub fn is_small(self) -> bool {
        self.idle == SMALL
    }

    /// A set on the engine, in which `register` has registered something.
    pub fn set(self, register: impl FnOnce(&PollSet)) -> Scene {
        let idle: Vec<_> = (0..self.idle).map(|_| kinds::event_counter(0)).collect();
        let set = Builder::new().engine(self.engine).build();
        let mut register = Some(register);
        if !self.is_late {
            register.take().unwrap()(&set);
        }
        for fd in &idle {
            set.register(fd, PollFlags::IN).unwrap();
        }
        let engine = if self.engine == Engine::Auto { Engine::Epoll } else { self.engine };
        let has_moved = (0..10_000).any(|_| {
            set.poll(NOW).unwrap();
            set.stats().last_engine == Some(engine)
        });
        assert!(has_moved, "never on {engine:?}: {:?}", set.stats());
        if let Some(register) = register {
            register(&set);
        }
        Scene { set, idle }
    }

    pub fn set_of(self, fd: &Fd, mask: PollFlags) -> Scene {
        self.set(|set| set.register(fd, mask).unwrap())
    }
}

pub(super) struct Scene {
    pub set: PollSet,
    pub idle: Vec<Fd>,
}

impl Scene {
    /// The set answers this, and so does the kernel; at once, and again.
    #[track_caller]
    pub fn assert_answers(&self, expected: &[Event]) {
        let registered: Vec<_> = self.set.iter().collect();
        assert_eq!(kernel_poll(&registered), expected, "the kernel's own answer");
        for _ in 0..3 {
            assert_eq!(self.set.poll(NOW).unwrap(), expected);
            if !expected.is_empty() {
                assert_eq!(self.set.poll(LONG).unwrap(), expected, "waiting");
            }
        }
    }

    /// The same, after one wait at most in which the set finds it. Those that follow are longer than
    /// what is documented as the time until it looks.
    #[track_caller]
    fn assert_finds(&self, expected: &[Event]) {
        let found = self.set.poll(Duration::from_millis(300)).unwrap();
        assert_eq!(found, expected, "within 300 ms");
        for _ in 0..200 {
            assert_eq!(self.set.poll(NOW).unwrap(), expected, "again");
            thread::sleep(Duration::from_micros(500));
        }
        self.assert_answers(expected);
    }
}

/// Runs a test in each place, and says in which it fails.
#[track_caller]
pub(super) fn everywhere(test: impl Fn(Place)) {
    let fails = |place: &Place| catch_unwind(AssertUnwindSafe(|| test(*place))).is_err();
    assert_places(Place::all().filter(fails));
}

#[track_caller]
fn assert_places(failed: impl Iterator<Item = impl fmt::Debug>) {
    let failed: Vec<_> = failed.map(|place| format!("{place:?}")).collect();
    assert!(failed.is_empty(), "fails in {} places:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_kind_is_answered_as_by_the_kernel_in_every_set() {
    kinds::report_missing();
    let of_all =
        Kind::ALL.into_iter().flat_map(|kind| Place::all().map(move |place| (kind, place)));
    let fails = |(kind, place): &(Kind, Place)| {
        let test = || {
            let fds = kinds::make(*kind);
            let scene = place.set(|set| {
                for fd in &fds {
                    set.register(fd, PollFlags::DEFAULT).unwrap();
                }
            });
            assert_agrees(&scene.set);
            for fd in fds.iter().filter(|fd| fd.is_open() && !is_socket(fd)) {
                for _ in 0..2 {
                    twist(fd, []);
                    assert_agrees(&scene.set);
                }
            }
        };
        catch_unwind(AssertUnwindSafe(test)).is_err()
    };
    assert_places(of_all.filter(fails));
}

fn is_socket(fd: &Fd) -> bool {
    rustix::net::sockopt::socket_type(fd).is_ok()
}

#[test]
fn urgent_data_that_is_put_among_the_rest_is_found() {
    everywhere(|place| {
        let (server, _client) = kinds::tcp_pair_with_urgent_data();
        let scene = place.set_of(&server, PollFlags::IN);
        scene.assert_answers(&[]);
        for _ in 0..2 {
            twist(&server, []);
            scene.assert_finds(&[event(&server, PollFlags::IN)]);
            twist(&server, []);
            scene.assert_answers(&[]);
        }
    });
}

/// poll(2) looks at each file again when the time is up.
#[test]
fn what_becomes_ready_unseen_during_a_wait_is_reported_when_its_time_is_up() {
    everywhere(|place| {
        let (server, _client) = kinds::tcp_pair_with_urgent_data();
        let scene = place.set_of(&server, PollFlags::IN);
        scene.assert_answers(&[]);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                twist(&server, []);
            });
            let found = scene.set.poll(Duration::from_millis(150)).unwrap();
            assert_eq!(found, [event(&server, PollFlags::IN)]);
        });
    });
}

/// poll(2) takes fewer entries than are compared at a time.
#[test]
fn it_is_found_under_a_low_limit_of_descriptors() {
    alone(|| {
        let (server, _client) = kinds::tcp_pair_with_urgent_data();
        let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
        let set = asked(fds.iter().chain([&server]));
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(4), ..before }).unwrap();
        twist(&server, []);
        let found = set.poll(Duration::from_millis(300)).unwrap();
        assert_eq!(found, [event(&server, PollFlags::IN)]);
        // What is left aside then counts against the limit, but is not too much.
        assert_eq!(set.poll(NOW).unwrap(), found);
        let rechecked = set.stats().audited;
        assert!(rechecked < 21, "re-checking would have found it as well");
        setrlimit(Resource::Nofile, before).unwrap();
    });
}

#[test]
fn what_epoll_misses_twice_is_left_to_poll() {
    alone(|| {
        let (server, _client) = kinds::tcp_pair_with_urgent_data();
        let other = kinds::event_counter(0);
        let set = asked([&server, &other]);
        let ready = [event(&server, PollFlags::IN)];
        assert_eq!(watched(instance()), 2);
        twist(&server, []);
        assert_eq!(set.poll(Duration::from_millis(300)).unwrap(), ready);
        assert_eq!(watched(instance()), 2);
        assert_eq!(set.poll(NOW).unwrap(), ready);
        assert_eq!(watched(instance()), 1);
        for mask in [PollFlags::IN | PollFlags::RDHUP, PollFlags::IN] {
            twist(&server, []);
            assert_eq!(set.poll(NOW).unwrap(), []);
            set.modify(&server, mask).unwrap();
            twist(&server, []);
            assert_eq!(set.poll(NOW).unwrap(), ready);
        }
        // Registered anew, it may be another file.
        set.register(&server, PollFlags::IN).unwrap();
        assert_agrees(&set);
        assert_eq!(watched(instance()), 2);
    });
}

#[test]
fn a_datagram_socket_whose_peer_connects_back_is_found() {
    everywhere(|place| {
        let (sender, receiver) = kinds::full_datagram_pair();
        let scene = place.set_of(&sender, PollFlags::OUT);
        scene.assert_answers(&[]);
        twist(&receiver, [sender.as_fd()]);
        scene.assert_finds(&[event(&sender, PollFlags::OUT)]);
    });
}

#[test]
fn a_ring_whose_entries_are_submitted_is_ready_at_once() {
    everywhere(|place| {
        let Ok(ring) = kinds::ring() else { return eprintln!("not tested: no io_uring") };
        twist(&ring, []);
        let scene = place.set_of(&ring, PollFlags::OUT);
        for _ in 0..2 {
            scene.assert_answers(&[]);
            twist(&ring, []);
            scene.assert_answers(&[event(&ring, PollFlags::OUT)]);
            twist(&ring, []);
        }
    });
}

#[test]
fn what_a_program_finds_in_a_ring_of_the_kernels_is_reported_at_once() {
    everywhere(|place| {
        let Ok(ring) = kinds::kernel_ring() else { return eprintln!("not tested: no BPF") };
        let scene = place.set_of(&ring, PollFlags::IN);
        for _ in 0..2 {
            scene.assert_answers(&[]);
            twist(&ring, []);
            scene.assert_answers(&[event(&ring, PollFlags::IN)]);
            twist(&ring, []);
        }
    });
}

#[test]
fn page_faults_whose_reads_may_block_are_an_error_at_once() {
    everywhere(|place| {
        let Ok(faults) = kinds::page_faults() else {
            return eprintln!("not tested: no userfaultfd");
        };
        let scene = place.set_of(&faults, PollFlags::IN);
        for _ in 0..2 {
            scene.assert_answers(&[]);
            twist(&faults, []);
            scene.assert_answers(&[event(&faults, PollFlags::ERR)]);
            twist(&faults, []);
        }
    });
}

#[test]
fn a_signal_for_one_thread_is_reported_to_it_after_another_has_asked() {
    everywhere(|place| {
        let signals = kinds::signals().unwrap();
        signals.drain();
        let scene = place.set_of(&signals, PollFlags::IN);
        for _ in 0..2 {
            scene.assert_answers(&[]);
            twist(&signals, []);
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(scene.set.poll(NOW).unwrap(), [])).join().unwrap();
            });
            scene.assert_answers(&[event(&signals, PollFlags::IN)]);
            signals.drain();
        }
    });
}

#[test]
fn a_record_that_is_pending_is_told_once() {
    everywhere(|place| {
        let Ok(record) = kinds::record() else { return eprintln!("not tested: no perf events") };
        // Asked before, it has something to tell by now again.
        record.add();
        let scene = place.set_of(&record.fd, PollFlags::IN);
        if !place.is_late {
            record.add();
        }
        for _ in 0..2 {
            assert_eq!(scene.set.poll(NOW).unwrap(), [event(&record, PollFlags::IN)]);
            assert_eq!(scene.set.poll(NOW).unwrap(), []);
            record.add();
        }
    });
}

/// More ready ones than epoll is asked for at first.
pub(super) fn many_ready(scene: &Scene) -> Vec<Event> {
    let ready = &scene.idle[..70];
    ready.iter().for_each(Fd::increment);
    ready.iter().map(|fd| event(fd, PollFlags::IN)).collect()
}

#[test]
fn records_are_told_once_among_many_that_are_ready() {
    everywhere(|place| {
        if place.is_small() {
            return;
        }
        let records = [kinds::record(), kinds::record()];
        let [Ok(one), Ok(other)] = &records else {
            return eprintln!("not tested: no perf events");
        };
        let place = place.beside(600);
        let scene = place.set(|set| {
            set.register(one, PollFlags::IN).unwrap();
            set.register(other, PollFlags::IN).unwrap();
        });
        scene.set.poll(NOW).unwrap();
        one.add();
        let mut ready = many_ready(&scene);
        other.add();
        let told = [one, other].map(|record| event(record, PollFlags::IN));
        let at = if place.is_late { ready.len() } else { 0 };
        let mut all = ready.clone();
        all.splice(at..at, told);
        assert_eq!(scene.set.poll(NOW).unwrap(), all);
        assert_eq!(scene.set.poll(NOW).unwrap(), std::mem::take(&mut ready));
    });
}

#[test]
fn a_thread_and_a_process_that_end_are_ready() {
    alone(|| {
        everywhere(|place| {
            let Ok(mut thread) = kinds::thread() else { return eprintln!("not tested: no pidfd") };
            let scene = place.set_of(&thread.fd, PollFlags::IN);
            scene.assert_answers(&[]);
            thread.end();
            let ended = PollFlags::IN | PollFlags::HUP;
            until_kernel_reports(&thread.fd, ended, ended);
            scene.assert_answers(&[event(&thread.fd, ended)]);
        });
        everywhere(|place| {
            let (mut reader, mut writer) = std::io::pipe().unwrap();
            let child = Child::run(|| reader.read_exact(&mut [0]).unwrap());
            let process = kinds::child(child.pid()).unwrap();
            let scene = place.set_of(&process, PollFlags::IN);
            scene.assert_answers(&[]);
            writer.write_all(&[0]).unwrap();
            child.join();
            assert_eq!(assert_agrees(&scene.set).len(), 1);
        });
    });
}

#[test]
fn a_thread_whose_system_calls_are_supervised_and_that_ends_hangs_up() {
    everywhere(|place| {
        let Ok(mut thread) = kinds::supervised_thread() else {
            return eprintln!("not tested: no seccomp");
        };
        let scene = place.set_of(&thread.fd, PollFlags::IN);
        scene.assert_answers(&[]);
        thread.end();
        until_kernel_reports(&thread.fd, PollFlags::HUP, PollFlags::HUP);
        scene.assert_answers(&[event(&thread.fd, PollFlags::HUP)]);
    });
}
