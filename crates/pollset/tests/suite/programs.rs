//! Random programs over real descriptors, compared with the kernel step by step.

use std::time::Duration;

use pollset::{PollFlags, PollSet};
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::util::fd::Fd;
use crate::util::kinds::{self, Kind, make};
use crate::util::oracle::{assert_answers_for, assert_answers_in_the_end, kernel_poll};
use crate::util::{NOW, cases, is_epoll_forced, masks, new_set};

/// The numbers choose descriptors.
#[derive(Clone, Debug)]
enum Step {
    Open(Kind, PollFlags),
    Write(usize),
    Fill(usize),
    Drain(usize),
    ShutDown(usize),
    Close(usize),
    CloseAndUseAgain(usize, Kind),
    UseFor(usize, usize),
    Dup(usize),
    Register(usize, PollFlags),
    Modify(usize, PollFlags),
    Unregister(usize),
    UnregisterRun(usize, usize),
    PollBriefly,
    PollInto,
}

impl Step {
    /// Whether it changes what a number means.
    fn closes(&self) -> bool {
        matches!(self, Self::Close(_) | Self::CloseAndUseAgain(..) | Self::UseFor(..))
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&Kind::ALL)
}

fn step() -> impl Strategy<Value = Step> {
    let fd = any::<usize>;
    prop_oneof![
        3 => (kind(), masks()).prop_map(|(kind, mask)| Step::Open(kind, mask)),
        4 => fd().prop_map(Step::Write),
        1 => fd().prop_map(Step::Fill),
        3 => fd().prop_map(Step::Drain),
        1 => fd().prop_map(Step::ShutDown),
        2 => fd().prop_map(Step::Close),
        2 => (fd(), kind()).prop_map(|(i, kind)| Step::CloseAndUseAgain(i, kind)),
        1 => (fd(), fd()).prop_map(|(i, other)| Step::UseFor(i, other)),
        1 => fd().prop_map(Step::Dup),
        4 => (fd(), masks()).prop_map(|(i, mask)| Step::Register(i, mask)),
        3 => (fd(), masks()).prop_map(|(i, mask)| Step::Modify(i, mask)),
        3 => fd().prop_map(Step::Unregister),
        1 => (fd(), 0..20_usize).prop_map(|(i, run)| Step::UnregisterRun(i, run)),
        1 => Just(Step::PollBriefly),
        2 => Just(Step::PollInto),
    ]
}

/// How many are registered at the start: few, and around the sizes at which sets change shape.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..4_usize, 8 => 6..11_usize, 8 => 14..19_usize, 8 => 60..70_usize, 1 => 250..260_usize]
}

struct World {
    fds: Vec<Fd>,
    set: PollSet,
    /// What must be registered.
    registered: Vec<(i32, PollFlags)>,
    /// A registered number has been closed, or means another file: a set on epoll may take a while
    /// to find that.
    has_closed: bool,
}

impl World {
    fn new() -> Self {
        Self { fds: Vec::new(), set: new_set(), registered: Vec::new(), has_closed: false }
    }

    fn agree(&self) {
        if self.has_closed {
            assert_answers_in_the_end(&self.set, &self.registered);
        } else {
            assert_answers_for(&self.set, &self.registered);
        }
    }

    fn run(&mut self, step: &Step) {
        if let Step::Open(kind, mask) = step {
            for fd in make(*kind) {
                self.fds.push(fd);
                self.register(self.fds.len() - 1, *mask);
            }
        }
        if self.fds.is_empty() {
            return;
        }
        self.has_closed |= step.closes();
        match step {
            Step::Open(..) => {}
            Step::Write(i) => self.if_open(*i, |fd| drop(fd.write(&1_u64.to_ne_bytes()))),
            Step::Fill(i) => self.if_open(*i, Fd::write_until_full),
            Step::Drain(i) => self.if_open(*i, Fd::drain),
            Step::ShutDown(i) => self.if_open(*i, kinds::shut_down_writing),
            Step::Close(i) => self.fd(*i).close(),
            Step::CloseAndUseAgain(i, kind) => {
                let mut files = make(*kind);
                let first = files.remove(0);
                self.fds.extend(files);
                match first.is_open() {
                    true => self.fd(*i).open(first.dup_file()),
                    false => self.fd(*i).close(),
                }
            }
            Step::UseFor(i, other) => {
                if self.fd(*other).is_open() {
                    let file = self.fd(*other).dup_file();
                    self.fd(*i).open(file);
                }
            }
            Step::Dup(i) => {
                if self.fd(*i).is_open() {
                    let dup = self.fd(*i).dup();
                    self.fds.push(dup);
                }
            }
            Step::Register(i, mask) => self.register(*i, *mask),
            Step::Modify(i, mask) => {
                let fd = self.fd(*i).number();
                let known = self.known(fd).map(|entry| entry.1 = *mask).is_some();
                assert_eq!(self.set.modify(fd, *mask).is_ok(), known);
            }
            Step::Unregister(i) => self.unregister(*i),
            Step::UnregisterRun(i, run) => {
                for offset in 0..*run {
                    self.unregister(*i % self.fds.len() + offset);
                }
            }
            Step::PollBriefly => self.poll_briefly(),
            Step::PollInto => {
                let mut events = Vec::new();
                let count = self.set.poll_into(&mut events, NOW).unwrap();
                assert_eq!(count, events.len());
            }
        }
    }

    fn fd(&mut self, i: usize) -> &mut Fd {
        let count = self.fds.len();
        &mut self.fds[i % count]
    }

    fn if_open(&mut self, i: usize, act: impl FnOnce(&Fd)) {
        let fd = self.fd(i);
        if fd.is_open() {
            act(fd);
        }
    }

    fn known(&mut self, fd: i32) -> Option<&mut (i32, PollFlags)> {
        self.registered.iter_mut().find(|(known, _)| *known == fd)
    }

    fn register(&mut self, i: usize, mask: PollFlags) {
        let fd = self.fd(i).number();
        self.set.register(fd, mask).unwrap();
        match self.known(fd) {
            Some(entry) => entry.1 = mask,
            None => self.registered.push((fd, mask)),
        }
    }

    fn unregister(&mut self, i: usize) {
        let fd = self.fd(i).number();
        let known = self.known(fd).is_some();
        self.registered.retain(|(other, _)| *other != fd);
        assert_eq!(self.set.unregister(fd).is_ok(), known);
    }

    fn poll_briefly(&self) {
        let before = kernel_poll(&self.registered);
        let events = self.set.poll(Duration::from_micros(300)).unwrap();
        if !self.has_closed && kernel_poll(&self.registered) == before {
            assert_eq!(events, before);
        }
    }
}

fn assert_agrees_at_every_step(size: usize, kinds: &[(Kind, PollFlags)], steps: &[Step]) {
    let mut world = World::new();
    for (kind, mask) in kinds.iter().cycle().take(size) {
        world.run(&Step::Open(*kind, *mask));
    }
    for step in steps {
        world.run(step);
        world.agree();
    }
    assert!(world.set.iter().eq(world.registered.iter().copied()));
}

/// On epoll, each step after a close waits for the audit.
fn cases_with_closes() -> Config {
    cases(if is_epoll_forced() { 40 } else { 250 })
}

proptest! {
    #![proptest_config(cases_with_closes())]

    #[test]
    fn any_program_gets_the_kernels_answers(
        size in sizes(),
        kinds in prop::collection::vec((kind(), masks()), 1..20),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        assert_agrees_at_every_step(size, &kinds, &steps);
    }
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn any_program_that_closes_nothing_gets_them_at_once(
        size in sizes(),
        kinds in prop::collection::vec((kind(), masks()), 1..20),
        steps in prop::collection::vec(step().prop_filter("it closes", |s| !s.closes()), 0..60),
    ) {
        assert_agrees_at_every_step(size, &kinds, &steps);
    }
}
