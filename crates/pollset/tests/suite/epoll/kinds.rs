//! Kinds of files whose readiness epoll misses or sees late: those without a wait queue yet, those
//! that don't wake it, those whose events depend on the polling thread or are cleared by polling.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet};

use super::{entries, instance_fd, polled_set};
use crate::helpers::{MILLISECOND, event_counters};
use crate::util::fd::Fd;
use crate::util::kinds::{self, Kind};
use crate::util::limit::{fd_limit, set_fd_limit};
use crate::util::oracle::{assert_matches_kernel, kernel_poll, wait_for_revents};
use crate::util::process::{Child, in_own_process, slowness};
use crate::util::toggle::toggle;
use crate::util::{LONG, NOW, event};

/// The set in which a file is registered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    engine: Option<Engine>,
    /// The number of idle descriptors that are also registered.
    idle: usize,
    /// The file is registered after the set has moved to the engine, not before.
    pub is_late: bool,
}

const SMALL: usize = 2;
const LARGE: usize = 100;

impl Context {
    fn all() -> impl Iterator<Item = Self> {
        let late = |(engine, idle)| [false, true].map(|is_late| Self { engine, idle, is_late });
        let engines = [Some(Engine::Poll), Some(Engine::Epoll)].into_iter();
        let engines = engines.flat_map(|engine| [(engine, SMALL), (engine, LARGE)]);
        engines.chain([(None, LARGE)]).flat_map(late)
    }

    /// The same with at least `idle` idle descriptors.
    pub fn with_idle(self, idle: usize) -> Self {
        Self { idle: idle.max(self.idle), ..self }
    }

    pub fn is_small(self) -> bool {
        self.idle == SMALL
    }

    /// A set that uses the engine, and in which `register` has registered files.
    pub fn set(self, register: impl FnOnce(&PollSet)) -> Fixture {
        let idle = event_counters(self.idle, 0);
        let set = Builder::new().engine(self.engine).build();
        let mut register = Some(register);
        if !self.is_late {
            register.take().unwrap()(&set);
        }
        for fd in &idle {
            set.register(fd, PollFlags::IN).unwrap();
        }
        let engine = self.engine.unwrap_or(Engine::Epoll);
        let uses_engine = (0..200_000).any(|_| {
            set.poll(NOW).unwrap();
            set.stats().last_engine == Some(engine)
        });
        assert!(uses_engine, "never on {engine:?}: {:?}", set.stats());
        if let Some(register) = register {
            register(&set);
        }
        Fixture { set, idle }
    }

    pub fn set_of(self, fd: &Fd, mask: PollFlags) -> Fixture {
        self.set(|set| set.register(fd, mask).unwrap())
    }
}

pub(super) struct Fixture {
    pub set: PollSet,
    pub idle: Vec<Fd>,
}

impl Fixture {
    /// The set and poll(2) in the kernel report `expected`, the set repeatedly.
    #[track_caller]
    pub fn assert_reports(&self, expected: &[Event]) {
        let registered: Vec<_> = self.set.iter().collect();
        assert_eq!(kernel_poll(&registered), expected, "poll(2) in the kernel");
        for _ in 0..3 {
            assert_eq!(self.set.poll(NOW).unwrap(), expected);
            if !expected.is_empty() {
                assert_eq!(self.set.poll(LONG).unwrap(), expected, "waiting");
            }
        }
    }

    /// The same after at most one wait in which the set finds the change. The polls that follow take
    /// longer than the documented interval of its checks.
    #[track_caller]
    fn assert_finds(&self, expected: &[Event]) {
        let find = || {
            let found = self.set.poll(300 * MILLISECOND).unwrap();
            assert_eq!(found, expected, "at the deadline at the latest");
        };
        find();
        for _ in 0..200 {
            let engine = self.set.stats().last_engine;
            let events = self.set.poll(NOW).unwrap();
            let stats = self.set.stats();
            if events != expected && engine != stats.last_engine {
                // Only poll(2) had found it, and the automatic set is on epoll again.
                find();
            } else {
                assert_eq!(events, expected, "again, {stats:?}");
            }
            thread::sleep(Duration::from_micros(500));
        }
        self.assert_reports(expected);
    }
}

/// Runs a test in each context, and lists those in which it fails.
#[track_caller]
pub(super) fn in_every_context(test: impl Fn(Context)) {
    let fails = |context: &Context| catch_unwind(AssertUnwindSafe(|| test(*context))).is_err();
    assert_none_fails(Context::all().filter(fails));
}

#[track_caller]
fn assert_none_fails(failed: impl Iterator<Item = impl fmt::Debug>) {
    let failed: Vec<_> = failed.map(|context| format!("{context:?}")).collect();
    assert!(failed.is_empty(), "fails in {} contexts:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_kind_agrees_with_kernel_in_every_context() {
    kinds::report_missing();
    let cases = Kind::ALL.into_iter();
    let cases = cases.flat_map(|kind| Context::all().map(move |context| (kind, context)));
    let fails = |(kind, context): &(Kind, Context)| {
        let test = || {
            let fds = kinds::make(*kind);
            let fixture = context.set(|set| {
                for fd in &fds {
                    set.register(fd, PollFlags::IN | PollFlags::PRI | PollFlags::OUT).unwrap();
                }
            });
            assert_matches_kernel(&fixture.set);
            for fd in fds.iter().filter(|fd| fd.is_open() && !is_socket(fd)) {
                for _ in 0..2 {
                    toggle(fd, []);
                    assert_matches_kernel(&fixture.set);
                }
            }
        };
        catch_unwind(AssertUnwindSafe(test)).is_err()
    };
    assert_none_fails(cases.filter(fails));
}

fn is_socket(fd: &Fd) -> bool {
    rustix::net::sockopt::socket_type(fd).is_ok()
}

#[test]
fn urgent_data_made_inline_is_found() {
    in_every_context(|context| {
        let (server, _client) = kinds::tcp_pair_with_urgent_data();
        let fixture = context.set_of(&server, PollFlags::IN);
        fixture.assert_reports(&[]);
        for _ in 0..2 {
            toggle(&server, []);
            fixture.assert_finds(&[event(&server, PollFlags::IN)]);
            toggle(&server, []);
            fixture.assert_reports(&[]);
        }
    });
}

/// poll(2) checks each file again when its timeout expires.
#[test]
fn readiness_without_wakeup_is_reported_at_the_deadline() {
    in_every_context(|context| {
        // On a busy machine the thread may be late.
        let is_in_time = (0..20).any(|_| {
            let (server, _client) = kinds::tcp_pair_with_urgent_data();
            let fixture = context.set_of(&server, PollFlags::IN);
            fixture.assert_reports(&[]);
            thread::scope(|scope| {
                let toggled = scope.spawn(|| {
                    thread::sleep(100 * MILLISECOND);
                    toggle(&server, []);
                    Instant::now()
                });
                let deadline = Instant::now() + (100 + 50 * slowness()) * MILLISECOND;
                let found = fixture.set.poll(deadline).unwrap();
                let is_in_time = toggled.join().unwrap() < deadline;
                assert!(!is_in_time || found == [event(&server, PollFlags::IN)], "{found:?}");
                is_in_time
            })
        });
        assert!(is_in_time);
    });
}

/// poll(2) takes fewer entries than the set compares at a time.
#[test]
fn readiness_without_wakeup_is_found_under_a_low_descriptor_limit() {
    in_own_process(|| {
        let limit = fd_limit();
        // On a slow or busy machine the audit is as far by then, and would have found it as well.
        let is_found_early = (0..20).any(|_| {
            let (server, _client) = kinds::tcp_pair_with_urgent_data();
            let fds = event_counters(20, 0);
            let set = polled_set(fds.iter().chain([&server]));
            set_fd_limit(4);
            toggle(&server, []);
            let found = set.poll(300 * MILLISECOND).unwrap();
            assert_eq!(found, [event(&server, PollFlags::IN)]);
            // The entry on the fallback counts toward the limit, but doesn't exceed it.
            assert_eq!(set.poll(NOW).unwrap(), found);
            set_fd_limit(limit);
            set.stats().audited < 21
        });
        assert!(is_found_early || slowness() > 1);
    });
}

#[test]
fn descriptor_that_epoll_misses_twice_is_moved_to_the_fallback() {
    in_own_process(|| {
        let other = kinds::eventfd(0);
        let moved = || {
            let (server, client) = kinds::tcp_pair_with_urgent_data();
            let set = polled_set([&server, &other]);
            let ready = [event(&server, PollFlags::IN)];
            assert_eq!(entries(instance_fd()).len(), 2);
            toggle(&server, []);
            assert_eq!(set.poll(300 * MILLISECOND).unwrap(), ready);
            assert_eq!(entries(instance_fd()).len(), 2);
            assert_eq!(set.poll(NOW).unwrap(), ready);
            (entries(instance_fd()).len() == 1).then_some((server, client, set, ready))
        };
        // On a busy machine the audit may add it again meanwhile, and epoll polls it then.
        let (server, _client, set, ready) = (0..20).find_map(|_| moved()).expect("is a fallback");
        for mask in [PollFlags::IN | PollFlags::RDHUP, PollFlags::IN] {
            toggle(&server, []);
            assert_eq!(set.poll(NOW).unwrap(), []);
            set.modify(&server, mask).unwrap();
            toggle(&server, []);
            assert_eq!(set.poll(NOW).unwrap(), ready);
        }
        // Registered again, it may be another file, so epoll is tried again.
        set.register(&server, PollFlags::IN).unwrap();
        assert_matches_kernel(&set);
        assert_eq!(entries(instance_fd()).len(), 2);
    });
}

#[test]
fn datagram_socket_made_writable_by_its_peer_connecting_is_found() {
    in_every_context(|context| {
        let (sender, receiver) = kinds::full_unix_datagram_pair();
        let fixture = context.set_of(&sender, PollFlags::OUT);
        fixture.assert_reports(&[]);
        toggle(&receiver, [sender.as_fd()]);
        fixture.assert_finds(&[event(&sender, PollFlags::OUT)]);
    });
}

#[test]
fn io_uring_with_submitted_entries_is_ready_at_once() {
    in_every_context(|context| {
        let Ok(ring) = kinds::io_uring() else { return eprintln!("not tested: no io_uring") };
        toggle(&ring, []);
        let fixture = context.set_of(&ring, PollFlags::OUT);
        for _ in 0..2 {
            fixture.assert_reports(&[]);
            toggle(&ring, []);
            fixture.assert_reports(&[event(&ring, PollFlags::OUT)]);
            toggle(&ring, []);
        }
    });
}

#[test]
fn data_in_a_bpf_ring_is_reported_at_once() {
    in_every_context(|context| {
        let Ok(ring) = kinds::bpf_ring_buffer() else { return eprintln!("not tested: no BPF") };
        let fixture = context.set_of(&ring, PollFlags::IN);
        for _ in 0..2 {
            fixture.assert_reports(&[]);
            toggle(&ring, []);
            fixture.assert_reports(&[event(&ring, PollFlags::IN)]);
            toggle(&ring, []);
        }
    });
}

#[test]
fn blocking_userfaultfd_is_err_at_once() {
    in_every_context(|context| {
        let Ok(faults) = kinds::userfaultfd() else {
            return eprintln!("not tested: no userfaultfd");
        };
        let fixture = context.set_of(&faults, PollFlags::IN);
        for _ in 0..2 {
            fixture.assert_reports(&[]);
            toggle(&faults, []);
            fixture.assert_reports(&[event(&faults, PollFlags::ERR)]);
            toggle(&faults, []);
        }
    });
}

#[test]
fn signalfd_reports_a_thread_signal_after_another_thread_has_polled() {
    in_every_context(|context| {
        let signals = kinds::signalfd().unwrap();
        signals.drain();
        let fixture = context.set_of(&signals, PollFlags::IN);
        for _ in 0..2 {
            fixture.assert_reports(&[]);
            toggle(&signals, []);
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(fixture.set.poll(NOW).unwrap(), [])).join().unwrap();
            });
            fixture.assert_reports(&[event(&signals, PollFlags::IN)]);
            signals.drain();
        }
    });
}

#[test]
fn perf_record_is_reported_once() {
    in_every_context(|context| {
        let Ok(record) = kinds::perf_event() else {
            return eprintln!("not tested: no perf events");
        };
        // Registered early, its event is cleared before the set is on its engine.
        record.add();
        let fixture = context.set_of(&record.fd, PollFlags::IN);
        if !context.is_late {
            record.add();
        }
        for _ in 0..2 {
            assert_eq!(fixture.set.poll(NOW).unwrap(), [event(&record, PollFlags::IN)]);
            assert_eq!(fixture.set.poll(NOW).unwrap(), []);
            record.add();
        }
    });
}

/// Makes more descriptors ready than the event buffer of epoll holds at first.
pub(super) fn make_many_ready(fixture: &Fixture) -> Vec<Event> {
    let ready = &fixture.idle[..70];
    ready.iter().for_each(Fd::increment);
    ready.iter().map(|fd| event(fd, PollFlags::IN)).collect()
}

#[test]
fn perf_records_are_reported_once_among_many_ready() {
    in_every_context(|context| {
        if context.is_small() {
            return;
        }
        let records = [kinds::perf_event(), kinds::perf_event()];
        let [Ok(one), Ok(other)] = &records else {
            return eprintln!("not tested: no perf events");
        };
        let context = context.with_idle(600);
        let fixture = context.set(|set| {
            set.register(one, PollFlags::IN).unwrap();
            set.register(other, PollFlags::IN).unwrap();
        });
        fixture.set.poll(NOW).unwrap();
        one.add();
        let mut ready = make_many_ready(&fixture);
        other.add();
        let events = [one, other].map(|record| event(record, PollFlags::IN));
        let index = if context.is_late { ready.len() } else { 0 };
        let mut all = ready.clone();
        all.splice(index..index, events);
        assert_eq!(fixture.set.poll(NOW).unwrap(), all);
        assert_eq!(fixture.set.poll(NOW).unwrap(), std::mem::take(&mut ready));
    });
}

#[test]
fn pidfd_of_an_ended_thread_or_process_is_ready() {
    in_own_process(|| {
        in_every_context(|context| {
            let Ok(mut thread) = kinds::pidfd_of_thread() else {
                return eprintln!("not tested: no pidfd");
            };
            let fixture = context.set_of(&thread.fd, PollFlags::IN);
            fixture.assert_reports(&[]);
            thread.end();
            let ended = PollFlags::IN | PollFlags::HUP;
            wait_for_revents(&thread.fd, ended, ended);
            fixture.assert_reports(&[event(&thread.fd, ended)]);
        });
        in_every_context(|context| {
            let (mut reader, mut writer) = std::io::pipe().unwrap();
            let child = Child::run(|| reader.read_exact(&mut [0]).unwrap());
            let process = kinds::pidfd_of_child(child.pid()).unwrap();
            let fixture = context.set_of(&process, PollFlags::IN);
            fixture.assert_reports(&[]);
            writer.write_all(&[0]).unwrap();
            child.join();
            assert_eq!(assert_matches_kernel(&fixture.set).len(), 1);
        });
    });
}

#[test]
fn seccomp_listener_of_an_ended_thread_is_hup() {
    in_every_context(|context| {
        let Ok(mut thread) = kinds::thread_with_seccomp() else {
            return eprintln!("not tested: no seccomp");
        };
        let fixture = context.set_of(&thread.fd, PollFlags::IN);
        fixture.assert_reports(&[]);
        thread.end();
        wait_for_revents(&thread.fd, PollFlags::HUP, PollFlags::HUP);
        fixture.assert_reports(&[event(&thread.fd, PollFlags::HUP)]);
    });
}
