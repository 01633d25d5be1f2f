//! Opens the targets, and waits until some of them are ready.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use pollset::{PollFlags, PollSet, Timeout};

use super::open::{check_descriptors, connect, open_path};
use super::pending::PendingTargets;
use super::target::{Source, Target};
use crate::usage_error::UsageError;

/// Called with the index of a target on the command line, the target, and its events.
pub type Report<'a> = dyn FnMut(usize, &Target, PollFlags) -> io::Result<()> + 'a;

pub struct Watch {
    targets: Vec<Target>,
    /// Events that each target is watched for in addition to its own.
    extra_events: PollFlags,
    deadline: Option<Instant>,
    /// The index in `targets` of each open descriptor.
    indices: HashMap<RawFd, usize>,
    /// Keeps open the descriptors that this process has opened itself.
    opened: Vec<OwnedFd>,
    /// A target was opened after the last wait began.
    has_new_targets: bool,
    /// The waker of `pending`, and the open targets that are not suspended.
    set: PollSet,
    pending: PendingTargets,
}

impl Watch {
    /// Opens the targets. Those that can't be opened yet are tried again during the waits.
    pub fn new(
        targets: Vec<Target>,
        extra_events: PollFlags,
        deadline: Option<Instant>,
    ) -> Result<Self> {
        check_descriptors(targets.iter().filter_map(|target| match target.source {
            Source::Descriptor(fd) => Some(fd),
            _ => None,
        }))?;
        let mut watch = Self {
            targets,
            extra_events,
            deadline,
            indices: HashMap::new(),
            opened: Vec::new(),
            has_new_targets: false,
            set: PollSet::new(),
            pending: PendingTargets::new()?,
        };
        watch.set.register(watch.pending.waker(), PollFlags::IN)?;
        for index in 0..watch.targets.len() {
            watch.open(index)?;
        }
        Ok(watch)
    }

    fn open(&mut self, index: usize) -> Result<()> {
        let Target { label, source, events } = self.targets[index].clone();
        let thread_error = || format!("can't start a thread for {}", label.display());
        match source {
            Source::Descriptor(fd) => self.add(index, fd)?,
            Source::Path(path) => match open_path(&path, events) {
                Ok(file) => self.add_opened(index, file)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self
                    .pending
                    .add(index, Some(error), move || open_path(&path, events))
                    .with_context(thread_error)?,
                Err(error) => {
                    let path = path.display();
                    bail!(UsageError(format!("can't open {path}: {error}")));
                }
            },
            Source::Tcp { host, port } => self
                .pending
                .add(index, None, move || connect(&host, port))
                .with_context(thread_error)?,
        }
        Ok(())
    }

    fn add(&mut self, index: usize, fd: RawFd) -> io::Result<()> {
        self.has_new_targets = true;
        self.indices.insert(fd, index);
        self.resume(fd)
    }

    fn add_opened(&mut self, index: usize, file: OwnedFd) -> io::Result<()> {
        self.add(index, file.as_raw_fd())?;
        self.opened.push(file);
        Ok(())
    }

    /// Waits until a target is ready, and reports all that are. Returns false if none was ready
    /// before the deadline.
    pub fn report_once(&mut self, report: &mut Report) -> io::Result<bool> {
        loop {
            let ready = self.wait(None)?;
            for &(fd, revents) in &ready {
                let (index, target) = self.target(fd);
                report(index, target, revents)?;
            }
            if !ready.is_empty() || self.is_timed_out() {
                return Ok(!ready.is_empty());
            }
        }
    }

    /// Waits until a target is ready, and returns the ready ones. The result is empty if the
    /// deadline or `until` has passed, or if an attempt to open a target has ended.
    pub fn wait(&mut self, until: Option<Instant>) -> io::Result<Vec<(RawFd, PollFlags)>> {
        self.has_new_targets = false;
        let until = until.into_iter().chain(self.effective_deadline()).min();
        let events = self.set.poll(until.map_or(Timeout::Never, Timeout::At))?;
        let (wakes, ready): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| event.is_for(self.pending.waker()));
        if !wakes.is_empty() {
            for (index, file) in self.pending.take_opened()? {
                self.add_opened(index, file)?;
            }
        }
        Ok(ready.into_iter().map(|event| (event.fd, event.revents)).collect())
    }

    fn effective_deadline(&self) -> Option<Instant> {
        self.deadline.map(|deadline| self.pending.extend(deadline))
    }

    /// Whether the deadline has passed and each open target has been polled.
    pub fn is_timed_out(&self) -> bool {
        !self.has_new_targets && self.effective_deadline().is_some_and(|at| Instant::now() >= at)
    }

    /// Excludes an open target from the waits until [`resume`](Self::resume).
    pub fn suspend(&self, fd: RawFd) {
        // Fails if the target is suspended already.
        let _ = self.set.unregister(fd);
    }

    pub fn resume(&self, fd: RawFd) -> io::Result<()> {
        self.set.register(fd, self.interest(fd))
    }

    /// The events that an open target is watched for.
    pub fn interest(&self, fd: RawFd) -> PollFlags {
        self.target(fd).1.events | self.extra_events
    }

    /// An open target, and its index.
    pub fn target(&self, fd: RawFd) -> (usize, &Target) {
        let index = self.indices[&fd];
        (index, &self.targets[index])
    }

    pub fn open_fds(&self) -> impl Iterator<Item = RawFd> {
        self.indices.keys().copied()
    }

    pub fn has_pending_targets(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The labels of the targets that are not open yet, each with the reason.
    pub fn not_open(&self) -> impl Iterator<Item = (&OsStr, String)> {
        self.pending.iter().map(|(index, error)| {
            let reason = error.map_or("not connected yet".to_owned(), io::Error::to_string);
            (self.targets[index].label.as_os_str(), reason)
        })
    }
}
