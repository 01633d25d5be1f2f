//! Runs a program on a set and real descriptors.

mod children;
mod during;
mod waits;

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pollset::{Builder, Engine, PollFlags, PollSet};
use pollset_testkit::kinds::{self, Kind};
use pollset_testkit::number;
use pollset_testkit::signal::Alarm;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::DupFlags;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use crate::child::open_files;
use crate::model::{Model, assert_open};
use crate::{Program, SharedCounts, Step, Which, raw};

/// A set, the files of a program, and what must be true of them.
pub struct World {
    set: PollSet,
    model: Mutex<Model>,
    engine: Engine,
    /// Numbers that were open before.
    inherited: BTreeSet<RawFd>,
    /// Children that hold copies of all descriptors.
    holders: Vec<Pid>,
    /// How many files may be open, so that none takes a number of the makers of files.
    room: usize,
    is_starved: bool,
    is_interrupted: bool,
    counts: &'static SharedCounts,
}

const MOST_HOLDERS: usize = 3;

impl World {
    /// An empty one.
    #[must_use]
    pub fn new(engine: Engine, counts: &'static SharedCounts) -> Self {
        let room = number::first() as usize - 100; // this raises the limit, too
        let limit = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
        Self {
            set: Builder::new().engine(engine).build(),
            model: Mutex::new(Model::new(limit)),
            engine,
            inherited: open_files().into_keys().collect(),
            holders: Vec::new(),
            room,
            is_starved: false,
            is_interrupted: false,
            counts,
        }
    }

    /// Runs a program to its end.
    ///
    /// # Panics
    ///
    /// If the set is wrong.
    pub fn run(mut self, program: &Program) {
        self.steps(&program.0);
        self.finish();
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            self.counts.count_step();
            self.step(step);
            self.agree();
        }
    }

    /// Drops the set, which leaves everything open that is not its own.
    fn finish(&mut self) {
        self.let_go();
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let set = std::mem::take(&mut self.set);
        assert_eq!(set.iter().collect::<Vec<_>>(), model.registered(), "what is registered");
        let replaced = set.stats().replaced;
        assert!(model.has_closed || replaced == 0, "instances replaced without a reason");
        drop(set);
        model.files().for_each(assert_open);
        model.close_files();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Open(kind, mask) => {
                for file in self.make(*kind) {
                    let number = match file {
                        Some(file) => self.model().opened(file),
                        None => self.closed_number(),
                    };
                    self.model().register(&self.set, number, mask.0);
                }
            }
            Step::Crowd(kind, count, mask) => {
                let mut files = Vec::new();
                while files.len() < usize::from(*count) && self.has_room(files.len()) {
                    files.extend(self.make(*kind).into_iter().flatten());
                }
                let mut model = self.model();
                for file in files {
                    let number = model.opened(file);
                    model.register(&self.set, number, mask.0);
                }
            }
            Step::Dup(which) => {
                let dup = self.model().file(*which).map(OwnedFd::try_clone);
                if let Some(Ok(dup)) = dup {
                    self.model().opened(dup);
                }
            }
            Step::Write(which) => self.write(*which),
            Step::Fill(which) => {
                self.model().file(*which).into_iter().for_each(write_until_full);
            }
            Step::Drain(which) => self.model().file(*which).into_iter().for_each(drain),
            Step::Twist(which) => self.model().twist(*which),
            Step::AskElsewhere => self.ask_elsewhere(),
            Step::ShutDown(which) => {
                if let Some(file) = self.model().file(*which) {
                    let _ = rustix::net::shutdown(file, rustix::net::Shutdown::Write);
                }
            }
            Step::Close(which) => self.model().close(*which),
            Step::CloseRun(which, run) => {
                (0..*run).for_each(|i| self.model().close(which.wrapping_add(i.into())));
            }
            Step::Dup2(file, over) => self.dup2(*file, *over),
            Step::Reuse(which, kind) => {
                let files = self.make(*kind).into_iter().flatten();
                let file = files.map(|file| self.model().opened(file)).last();
                let mut model = self.model();
                if let (Some(file), Some(number)) = (file, model.which(*which)) {
                    model.dup2_number(file, number);
                    model.register_again(&self.set, number);
                }
            }
            Step::Register(which, mask) => self.register(*which, mask.0),
            Step::RegisterNumber(number, mask) => {
                let mut model = self.model();
                model.note(*number);
                model.register(&self.set, *number, mask.0);
            }
            Step::RegisterInstance(mask) => {
                if let Some(number) = self.instance() {
                    self.model().register_instance(&self.set, number, mask.0);
                }
            }
            Step::Modify(which, mask) => self.model().modify(&self.set, *which, mask.0),
            Step::Unregister(which) => self.unregister(*which),
            Step::UnregisterRun(which, run) => {
                (0..*run).for_each(|i| self.unregister(which.wrapping_add(i.into())));
            }
            Step::Poll(how, us) => self.poll(*how, Duration::from_micros((*us).into())),
            Step::PollOften(count) => self.poll_often(*count),
            Step::Settle => self.settle(),
            Step::NewSet => self.new_set(),
            Step::During(until, threads) => self.during(*until, threads),
            Step::Fork(steps) => {
                self.fork(|world| {
                    world.agree();
                    world.steps(steps);
                });
                if steps.iter().any(Step::twists) {
                    self.model().twisted_by_child();
                }
            }
            Step::Daemon(kind, count, steps) => {
                self.fork(|world| world.daemon(*kind, *count, steps))
            }
            Step::Hold => {
                if self.holders.len() < MOST_HOLDERS {
                    self.hold();
                }
            }
            Step::LetGo => self.let_go(),
            Step::Starved(steps) => self.starved(steps),
            Step::Interrupted(us, steps) => {
                let interval = Duration::from_micros((*us).max(500).into());
                let is_first = !std::mem::replace(&mut self.is_interrupted, true);
                let alarm = is_first.then(|| Alarm::every(interval));
                self.steps(steps);
                self.is_interrupted = !is_first;
                drop(alarm);
            }
            Step::CloseInstance => {
                if let Some(number) = self.instance() {
                    drop(raw::seize(number));
                    self.model().tampered(number, None);
                }
            }
            Step::ReplaceInstance(which) => {
                if let Some(number) = self.instance() {
                    self.replace(number, *which);
                }
            }
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one more file, beside this number of `new` ones.
    fn has_room(&self, new: usize) -> bool {
        !self.is_starved && self.model().files().count() + new < self.room
    }

    /// Files on the lowest numbers that are free; `None`: one that is not open.
    fn make(&self, kind: Kind) -> Vec<Option<OwnedFd>> {
        if !self.has_room(0) {
            return Vec::new();
        }
        let made = kinds::make(kind);
        made.iter().map(|fd| fd.is_open().then(|| fd.dup_file())).collect()
    }

    fn closed_number(&self) -> RawFd {
        let number = lowest_free_number().unwrap_or(RawFd::MAX);
        self.model().note(number);
        number
    }

    fn write(&self, which: Which) {
        if let Some(file) = self.model().file(which) {
            let _ = rustix::io::write(file, &1_u64.to_ne_bytes());
        }
    }

    fn dup2(&self, file: Which, over: Which) {
        let number = self.model().which(over);
        match number {
            Some(number) if self.instances().contains(&number) => self.replace(number, file),
            _ => self.model().dup2(file, over),
        }
    }

    fn register(&self, which: Which, mask: PollFlags) {
        let mut model = self.model();
        if let Some(number) = model.which(which) {
            model.register(&self.set, number, mask);
        }
    }

    fn unregister(&self, which: Which) {
        let mut model = self.model();
        if let Some(number) = model.which(which) {
            model.unregister(&self.set, number);
        }
    }

    /// The epoll instances that are not the program's.
    fn instances(&self) -> Vec<RawFd> {
        let model = self.model();
        let is_ours = |n: &RawFd| !model.owns(*n) && !self.inherited.contains(n);
        self.epolls().into_iter().filter(is_ours).collect()
    }

    /// All epoll instances, the program's among them.
    fn epolls(&self) -> Vec<RawFd> {
        let files = open_files().into_iter();
        let epolls = files.filter(|(_, file)| file == "anon_inode:[eventpoll]");
        epolls.map(|(number, _)| number).collect()
    }

    fn instance(&self) -> Option<RawFd> {
        self.instances().first().copied()
    }

    fn replace(&self, instance: RawFd, file: Which) {
        let mut model = self.model();
        let Some(file) = model.file(file) else { return };
        let mut number = raw::seize(instance);
        match rustix::io::dup3(file, &mut number, DupFlags::CLOEXEC) {
            Ok(()) => model.tampered(instance, Some(number)),
            // It is above a lowered limit.
            Err(_) => drop(number.into_raw_fd()),
        }
    }

    /// Lowers the limit of descriptors to what is open.
    fn starved(&mut self, steps: &[Step]) {
        let before = getrlimit(Resource::Nofile);
        let lowest = lowest_free_number();
        let (Some(lowest), false) = (lowest, self.is_starved) else {
            return self.steps(steps);
        };
        let lowered = Rlimit { current: Some(lowest as u64), ..before };
        setrlimit(Resource::Nofile, lowered).expect("it may be lowered");
        let limit = std::mem::replace(&mut self.model().limit, lowest as usize);
        self.is_starved = true;
        self.agree();
        self.steps(steps);
        setrlimit(Resource::Nofile, before).expect("it may be raised again");
        self.model().limit = limit;
        self.is_starved = false;
    }
}

fn lowest_free_number() -> Option<RawFd> {
    let file = eventfd(0, EventfdFlags::CLOEXEC).ok()?;
    Some(file.as_raw_fd())
}

fn write_until_full(file: &OwnedFd) {
    for _ in 0..64 {
        if rustix::io::write(file, &[0; 65_536]).is_err() {
            break;
        }
    }
}

fn drain(file: &OwnedFd) {
    if fcntl_getfl(file).is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK)) {
        return; // it was twisted, and might block
    }
    let mut buffer = vec![0; 65_536];
    for _ in 0..64 {
        if !matches!(rustix::io::read(file, &mut buffer), Ok(1..)) {
            break;
        }
    }
}
