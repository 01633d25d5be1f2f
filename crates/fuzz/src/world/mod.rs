//! Runs a program on a set and real descriptors.

mod children;
mod concurrent;
mod waits;

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pollset::{Engine, PollFlags};
use pollset_testkit::fd::{drain, write_until_full};
use pollset_testkit::kinds::{self, Kind};
use pollset_testkit::limit::{fd_limit, set_fd_limit};
use pollset_testkit::number;
use pollset_testkit::open_fds::{epoll_instances, open_fds};
use pollset_testkit::signal::Alarm;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::DupFlags;
use rustix::process::Pid;

use crate::model::{Model, assert_open};
use crate::object::Object;
use crate::{FdIndex, Op, Program, SharedCounts, raw};

/// A set, the files of a program, and the expected state of the set.
pub struct World {
    set: Object,
    model: Mutex<Model>,
    engine: Option<Engine>,
    /// Descriptors that were open before.
    inherited: BTreeSet<RawFd>,
    /// Children that hold copies of all descriptors.
    holders: Vec<Pid>,
    /// How many files a program may have open. More would reach the descriptors that the makers of
    /// files use.
    max_files: usize,
    is_at_fd_limit: bool,
    is_interrupted: bool,
    counts: &'static SharedCounts,
}

const MAX_HOLDERS: usize = 3;

impl World {
    /// A world with an empty set.
    #[must_use]
    pub fn new(engine: Option<Engine>, counts: &'static SharedCounts) -> Self {
        let max_files = number::first() as usize - 100; // raises the limit as a side effect
        Self {
            set: Object::new(engine),
            model: Mutex::new(Model::new(fd_limit() as usize)),
            engine,
            inherited: open_fds().into_keys().collect(),
            holders: Vec::new(),
            max_files,
            is_at_fd_limit: false,
            is_interrupted: false,
            counts,
        }
    }

    /// Runs a program to its end.
    ///
    /// # Panics
    ///
    /// If the set differs from the kernel.
    pub fn run(mut self, program: &Program) {
        self.run_ops(&program.0);
        self.finish();
    }

    fn run_ops(&mut self, ops: &[Op]) {
        for op in ops {
            self.counts.count_op();
            self.run_op(op);
            self.assert_matches_kernel();
        }
    }

    /// Drops the set, and checks that it closes only its own descriptors.
    fn finish(&mut self) {
        self.kill_holders();
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let set = std::mem::replace(&mut self.set, Object::new(None));
        assert_eq!(set.iter().collect::<Vec<_>>(), model.registrations(), "registrations");
        let replaced = set.stats().replaced;
        assert!(model.has_closed || replaced == 0, "instances were replaced without a reason");
        drop(set);
        model.files().for_each(assert_open);
        model.close_files();
    }

    fn run_op(&mut self, op: &Op) {
        match op {
            Op::Open(kind, mask) => {
                for file in self.make(*kind) {
                    let fd = match file {
                        Some(file) => self.model().add_file(file),
                        None => self.closed_fd(),
                    };
                    self.model().register(&self.set, fd, mask.0);
                }
            }
            Op::OpenMany(kind, count, mask) => {
                let mut files = Vec::new();
                while files.len() < usize::from(*count) && self.has_room(files.len()) {
                    files.extend(self.make(*kind).into_iter().flatten());
                }
                let mut model = self.model();
                for file in files {
                    let fd = model.add_file(file);
                    model.register(&self.set, fd, mask.0);
                }
            }
            Op::Dup(index) => {
                let dup = self.model().file(*index).map(OwnedFd::try_clone);
                if let Some(Ok(dup)) = dup {
                    self.model().add_file(dup);
                }
            }
            Op::Write(index) => self.write(*index),
            Op::Fill(index) => self.model().file(*index).into_iter().for_each(write_until_full),
            Op::Drain(index) => self.model().file(*index).into_iter().for_each(drain),
            Op::Toggle(index) => self.model().toggle(*index),
            Op::PollInThread => self.poll_in_thread(),
            Op::ShutDown(index) => {
                if let Some(file) = self.model().file(*index) {
                    let _ = rustix::net::shutdown(file, rustix::net::Shutdown::Write);
                }
            }
            Op::Close(index) => self.model().close(*index),
            Op::CloseRun(index, run) => {
                (0..*run).for_each(|i| self.model().close(index.wrapping_add(i.into())));
            }
            Op::Dup2(file, over) => self.dup2(*file, *over),
            Op::Reuse(index, kind) => {
                let files = self.make(*kind).into_iter().flatten();
                let file = files.map(|file| self.model().add_file(file)).last();
                let mut model = self.model();
                if let (Some(file), Some(fd)) = (file, model.fd(*index)) {
                    model.dup2_fd(file, fd);
                    model.register_again(&self.set, fd);
                }
            }
            Op::Register(index, mask) => self.register(*index, mask.0),
            Op::RegisterRawFd(fd, mask) => {
                let mut model = self.model();
                model.add_fd(*fd);
                model.register(&self.set, *fd, mask.0);
            }
            Op::RegisterInstance(mask) => {
                if let Some(fd) = self.instance() {
                    self.model().register_instance(&self.set, fd, mask.0);
                }
            }
            Op::Modify(index, mask) => self.model().modify(&self.set, *index, mask.0),
            Op::Unregister(index) => self.unregister(*index),
            Op::UnregisterRun(index, run) => {
                (0..*run).for_each(|i| self.unregister(index.wrapping_add(i.into())));
            }
            Op::Poll(call, us) => self.poll(*call, Duration::from_micros((*us).into())),
            Op::PollRepeatedly(count) => self.poll_repeatedly(*count),
            Op::AwaitAudit => self.await_audit(),
            Op::NewSet => self.poll_new_set(),
            Op::PollWhile(until, threads) => self.poll_while(*until, threads),
            Op::Fork(ops) => {
                self.fork(|world| {
                    world.assert_matches_kernel();
                    world.run_ops(ops);
                });
                if ops.iter().any(Op::has_toggle) {
                    self.model().mark_toggled_by_child();
                }
            }
            Op::Daemon(kind, count, ops) => {
                self.fork(|world| world.run_as_daemon(*kind, *count, ops))
            }
            Op::ForkHolder => {
                if self.holders.len() < MAX_HOLDERS {
                    self.fork_holder();
                }
            }
            Op::KillHolders => self.kill_holders(),
            Op::AtFdLimit(ops) => self.run_at_fd_limit(ops),
            Op::Interrupted(us, ops) => {
                let interval = Duration::from_micros((*us).max(500).into());
                let is_outermost = !std::mem::replace(&mut self.is_interrupted, true);
                let alarm = is_outermost.then(|| Alarm::every(interval));
                self.run_ops(ops);
                self.is_interrupted = !is_outermost;
                drop(alarm);
            }
            Op::CloseInstance => {
                if let Some(fd) = self.instance() {
                    drop(raw::take_fd(fd));
                    self.model().mark_tampered(fd, None);
                }
            }
            Op::ReplaceInstance(index) => {
                if let Some(fd) = self.instance() {
                    self.replace_instance(fd, *index);
                }
            }
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the program may open one more file, after this number of `new` ones.
    fn has_room(&self, new: usize) -> bool {
        !self.is_at_fd_limit && self.model().files().count() + new < self.max_files
    }

    /// Opens files on the lowest free descriptors. `None` stands for a closed descriptor.
    fn make(&self, kind: Kind) -> Vec<Option<OwnedFd>> {
        if !self.has_room(0) {
            return Vec::new();
        }
        let made = kinds::make(kind);
        made.iter().map(|fd| fd.is_open().then(|| fd.dup_file())).collect()
    }

    fn closed_fd(&self) -> RawFd {
        let fd = lowest_free_fd().unwrap_or(RawFd::MAX);
        self.model().add_fd(fd);
        fd
    }

    fn write(&self, index: FdIndex) {
        if let Some(file) = self.model().file(index) {
            let _ = rustix::io::write(file, &1_u64.to_ne_bytes());
        }
    }

    fn dup2(&self, file: FdIndex, over: FdIndex) {
        let fd = self.model().fd(over);
        match fd {
            Some(fd) if self.instances().contains(&fd) => self.replace_instance(fd, file),
            _ => self.model().dup2(file, over),
        }
    }

    fn register(&self, index: FdIndex, mask: PollFlags) {
        let mut model = self.model();
        if let Some(fd) = model.fd(index) {
            model.register(&self.set, fd, mask);
        }
    }

    fn unregister(&self, index: FdIndex) {
        let mut model = self.model();
        if let Some(fd) = model.fd(index) {
            model.unregister(&self.set, fd);
        }
    }

    /// The epoll instances that the set has opened.
    fn instances(&self) -> Vec<RawFd> {
        let model = self.model();
        let is_of_set = |fd: &RawFd| !model.owns(*fd) && !self.inherited.contains(fd);
        epoll_instances().into_iter().filter(is_of_set).collect()
    }

    fn instance(&self) -> Option<RawFd> {
        self.instances().first().copied()
    }

    fn replace_instance(&self, instance: RawFd, file: FdIndex) {
        let mut model = self.model();
        let Some(file) = model.file(file) else { return };
        let mut fd = raw::take_fd(instance);
        match rustix::io::dup3(file, &mut fd, DupFlags::CLOEXEC) {
            Ok(()) => model.mark_tampered(instance, Some(fd)),
            // The instance is above a lowered limit, and still the set's.
            Err(_) => drop(fd.into_raw_fd()),
        }
    }

    /// Lowers the limit on descriptors to those in use.
    fn run_at_fd_limit(&mut self, ops: &[Op]) {
        let lowest = lowest_free_fd();
        let (Some(lowest), false) = (lowest, self.is_at_fd_limit) else {
            return self.run_ops(ops);
        };
        let limit = fd_limit();
        set_fd_limit(lowest as u64);
        let poll_limit = std::mem::replace(&mut self.model().poll_limit, lowest as usize);
        self.is_at_fd_limit = true;
        self.assert_matches_kernel();
        self.run_ops(ops);
        set_fd_limit(limit);
        self.model().poll_limit = poll_limit;
        self.is_at_fd_limit = false;
    }
}

fn lowest_free_fd() -> Option<RawFd> {
    let file = eventfd(0, EventfdFlags::CLOEXEC).ok()?;
    Some(file.as_raw_fd())
}
