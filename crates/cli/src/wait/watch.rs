//! Waits for the targets: opens paths, connects to services, and polls what is open.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pollset::{PollFlags, Timeout};

use super::attempts::Attempts;
use super::files::{Files, Role};
use super::inherited;
use super::names::Names;
use super::open;
use super::service::Service;
use super::target::{Condition, Source, Target, hang_up_events};
use crate::output;

/// The pause between two attempts to open a path or to connect to an address.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// With many targets the pause is longer, so that at most 1,000 are tried in a second.
const RETRY_INTERVAL_PER_TARGET: Duration = Duration::from_millis(1);

pub struct Watch {
    targets: Vec<Watched>,
    /// Events that each target is watched for in addition to its own.
    extra_events: PollFlags,
    deadline: Option<Instant>,
    files: Files,
    attempts: Attempts,
    /// `None` if there is no host to look up.
    names: Option<Names>,
    /// The indices of the targets that are not open, and for which the wait has not ended.
    pending: BTreeSet<usize>,
    /// How many targets the wait has not ended for.
    missing: usize,
    next_retry: Instant,
    /// Everything was tried once more when the deadline had passed.
    is_last_retry_done: bool,
    /// The targets whose condition holds.
    met: Vec<Met>,
}

/// The index of a target, and why the wait for it has ended.
pub type Met = (usize, Condition);

struct Watched {
    target: Target,
    /// The position of its argument on the command line.
    position: usize,
    state: State,
}

enum State {
    /// A path that is not open.
    Path {
        reason: String,
    },
    Service(Service),
    Open {
        fd: RawFd,
        _file: Option<OwnedFd>,
    },
    /// The wait for it has ended.
    Done,
}

impl Watch {
    /// Opens the targets, and begins to connect. What fails is tried again during the waits.
    pub fn new(
        targets: Vec<Target>,
        extra_events: PollFlags,
        deadline: Option<Instant>,
    ) -> Result<Self> {
        let targets = with_descriptors(targets)?;
        inherited::check(targets.iter().filter_map(|(_, target)| match target.source {
            Source::Descriptor(fd) => Some(fd),
            _ => None,
        }))?;
        let mut watch = Self {
            missing: targets.len(),
            targets: Vec::new(),
            extra_events,
            deadline,
            files: Files::default(),
            attempts: Attempts::default(),
            names: None,
            pending: BTreeSet::new(),
            next_retry: Instant::now(),
            is_last_retry_done: false,
            met: Vec::new(),
        };
        for (position, target) in targets {
            watch.add(position, target)?;
        }
        watch.is_last_retry_done = watch.has_deadline_passed();
        watch.retry(false)?;
        Ok(watch)
    }

    fn add(&mut self, position: usize, target: Target) -> Result<()> {
        let index = self.targets.len();
        let is_awaited_gone = target.condition == Condition::Gone;
        let state = match &target.source {
            Source::Descriptor(fd) => State::Open { fd: *fd, _file: None },
            Source::Path(_) => State::Path { reason: String::new() },
            Source::Tcp { .. } => {
                if self.names.is_none() {
                    let names = Names::new()?;
                    self.files.register(names.waker(), PollFlags::IN, Role::Lookups)?;
                    self.names = Some(names);
                }
                State::Service(Service::of_host(index, is_awaited_gone))
            }
            Source::Unix(address) => {
                State::Service(Service::with_address(index, is_awaited_gone, address.clone()))
            }
            Source::Listen(_) => unreachable!("replaced by `with_descriptors`"),
        };
        if !matches!(state, State::Open { .. }) {
            self.pending.insert(index);
        }
        self.targets.push(Watched { target, position, state });
        self.resume(index)?;
        Ok(())
    }

    fn set_open(&mut self, index: usize, file: OwnedFd) -> io::Result<()> {
        self.pending.remove(&index);
        self.targets[index].state = State::Open { fd: file.as_raw_fd(), _file: Some(file) };
        self.resume(index)
    }

    fn set_met(&mut self, index: usize, condition: Condition) {
        if !self.met.iter().any(|&(known, _)| known == index) {
            self.met.push((index, condition));
        }
    }

    /// Waits until the conditions of some targets hold, and returns these. The result is empty if
    /// the deadline or `until` has passed, or if something else was done.
    pub fn wait(&mut self, until: Option<Instant>) -> Result<Vec<Met>> {
        let begun = Instant::now();
        for (role, revents) in self.files.poll(self.timeout(until))? {
            match role {
                Role::Lookups => self.take_lookups()?,
                Role::Attempt((index, number)) => self.end_attempt(index, number)?,
                Role::Kept((index, number)) => {
                    if let State::Service(service) = &mut self.targets[index].state {
                        service.close_kept(number, &mut self.files, &mut self.attempts);
                    }
                }
                Role::Target(index) => {
                    let is_gone = self.targets[index].target.condition == Condition::Gone;
                    let met = if is_gone { Condition::Gone } else { Condition::Events(revents) };
                    self.set_met(index, met);
                }
            }
        }
        self.time_out_attempts(begun);
        if !self.has_deadline_passed() {
            if self.next_retry <= Instant::now() {
                self.retry(false)?;
            }
        } else if !self.is_last_retry_done {
            self.is_last_retry_done = true;
            self.retry(true)?;
        }
        self.begin_attempts();
        self.met.sort_unstable_by_key(|&(index, _)| index);
        Ok(std::mem::take(&mut self.met))
    }

    fn timeout(&self, until: Option<Instant>) -> Timeout {
        let next_retry = (!self.pending.is_empty()).then_some(self.next_retry);
        let times = [until, self.deadline, next_retry, self.attempts.next_timeout()];
        match times.into_iter().flatten().min() {
            _ if !self.met.is_empty() => Timeout::from(Duration::ZERO),
            None => Timeout::Never,
            Some(time) => Timeout::At(time),
        }
    }

    /// Passes the new addresses of hosts to their services.
    fn take_lookups(&mut self) -> Result<()> {
        let hosts = self.names.as_mut().expect("owns the waker").take_results()?;
        let hosts: HashSet<_> = hosts.iter().map(String::as_str).collect();
        let now = Instant::now();
        for index in self.pending.clone() {
            if matches!(&self.targets[index].target.source, Source::Tcp { host, .. }
                if hosts.contains(host.as_str()))
            {
                self.update_service(index, now, false)?;
            }
        }
        Ok(())
    }

    fn end_attempt(&mut self, index: usize, number: usize) -> io::Result<()> {
        let State::Service(service) = &mut self.targets[index].state else { return Ok(()) };
        if let Some(socket) = service.end_attempt(number, &mut self.files, &mut self.attempts) {
            service.close(&mut self.files, &mut self.attempts);
            self.set_open(index, socket.into())?;
        }
        self.check_gone(index);
        Ok(())
    }

    /// Ends the attempts that have reached their time limit. After the deadline, ends those that
    /// were polled, if others have not begun yet.
    fn time_out_attempts(&mut self, polled_at: Instant) {
        let timeout = self.attempts.timeout();
        let limit = Instant::now().checked_sub(timeout);
        while let Some((index, number)) = limit.and_then(|limit| self.attempts.begun_before(limit))
        {
            if let State::Service(service) = &mut self.targets[index].state {
                let (files, attempts) = (&mut self.files, &mut self.attempts);
                service.time_out_attempt(number, timeout, files, attempts);
            }
            self.check_gone(index);
        }
        while self.has_deadline_passed() && self.attempts.has_queue() {
            let Some((index, number)) = self.attempts.begun_before(polled_at) else { break };
            if let State::Service(service) = &mut self.targets[index].state {
                service.take_attempt(number, &mut self.files, &mut self.attempts);
            }
            self.begin_attempts();
        }
    }

    fn check_gone(&mut self, index: usize) {
        if let State::Service(service) = &self.targets[index].state
            && service.is_awaited_gone()
            && service.is_gone()
        {
            self.set_met(index, Condition::Gone);
        }
    }

    /// Tries what is due of the pending targets, or everything.
    fn retry(&mut self, all_are_due: bool) -> Result<()> {
        let now = Instant::now();
        self.next_retry = now + self.retry_interval();
        for index in self.pending.clone() {
            if let Source::Path(path) = &self.targets[index].target.source {
                let path = path.clone();
                self.try_path(index, &path)?;
            } else {
                self.update_service(index, now, all_are_due)?;
            }
        }
        self.begin_attempts();
        Ok(())
    }

    fn retry_interval(&self) -> Duration {
        let count = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        RETRY_INTERVAL.max(RETRY_INTERVAL_PER_TARGET.saturating_mul(count))
    }

    /// Takes the addresses of a service, and requests the attempts that are due.
    fn update_service(&mut self, index: usize, now: Instant, all_are_due: bool) -> Result<()> {
        let interval = self.retry_interval();
        let Watched { target, state, .. } = &mut self.targets[index];
        let State::Service(service) = state else { return Ok(()) };
        if let (Source::Tcp { host, port }, Some(names)) = (&target.source, &mut self.names) {
            let lookup = names
                .lookup(host, now)
                .with_context(|| format!("can't start a thread for {}", target.label.display()))?;
            if let Some(lookup) = lookup {
                service.set_lookup(lookup, *port);
            }
        }
        let (files, attempts) = (&mut self.files, &mut self.attempts);
        service.request_attempts(files, attempts, now, interval, all_are_due);
        self.check_gone(index);
        Ok(())
    }

    fn begin_attempts(&mut self) {
        while let Some((index, number)) = self.attempts.next() {
            let State::Service(service) = &mut self.targets[index].state else { continue };
            if service.begin_attempt(number, &mut self.files, &mut self.attempts) {
                self.check_gone(index); // the attempt may have failed at once
            } else {
                self.attempts.put_back((index, number));
                break;
            }
        }
    }

    fn try_path(&mut self, index: usize, path: &Path) -> Result<()> {
        let condition = self.targets[index].target.condition;
        let error = match condition {
            Condition::Events(events) => match open::open(path, events)? {
                Ok(file) => return Ok(self.set_open(index, file)?),
                Err(error) => Some(error),
            },
            Condition::Exists | Condition::Gone => match open::exists(path)? {
                Ok(exists) if exists == (condition == Condition::Exists) => {
                    self.set_met(index, condition);
                    return Ok(());
                }
                result => result.err(),
            },
        };
        let reason = match error {
            Some(error) => output::text(&error),
            None if condition == Condition::Gone => "still exists".to_owned(),
            None => "doesn't exist".to_owned(),
        };
        self.targets[index].state = State::Path { reason };
        Ok(())
    }

    /// Whether the deadline has passed, and everything was tried and polled after that.
    pub fn is_timed_out(&self) -> bool {
        self.has_deadline_passed()
            && self.is_last_retry_done
            && self.met.is_empty()
            && !self.files.has_new_files()
    }

    fn has_deadline_passed(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Ends the wait for a target, and closes what this process has opened for it.
    pub fn finish(&mut self, index: usize) {
        self.pending.remove(&index);
        self.suspend(index);
        if let State::Service(service) = &mut self.targets[index].state {
            service.close(&mut self.files, &mut self.attempts);
        }
        self.targets[index].state = State::Done;
        self.missing -= 1;
        self.begin_attempts(); // with the descriptors that are free now
    }

    /// Excludes an open target from the waits until [`resume`](Self::resume).
    pub fn suspend(&mut self, index: usize) {
        if let State::Open { fd, .. } = self.targets[index].state {
            self.files.unregister(fd);
        }
    }

    pub fn resume(&mut self, index: usize) -> io::Result<()> {
        match self.fd(index) {
            Some(fd) => self.files.register(fd, self.interest(index), Role::Target(index)),
            None => Ok(()),
        }
    }

    /// The descriptor of a target, if it is open.
    pub fn fd(&self, index: usize) -> Option<RawFd> {
        match self.targets[index].state {
            State::Open { fd, .. } => Some(fd),
            _ => None,
        }
    }

    /// The events that an open target is watched for.
    pub fn interest(&self, index: usize) -> PollFlags {
        match self.targets[index].target.condition {
            Condition::Events(events) => events | self.extra_events,
            _ => hang_up_events(),
        }
    }

    /// A target, and the position of its argument on the command line.
    pub fn target(&self, index: usize) -> (usize, &Target) {
        let watched = &self.targets[index];
        (watched.position, &watched.target)
    }

    /// The number of targets.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether a lookup or an attempt to connect has not ended.
    pub fn needs_time(&self) -> bool {
        self.targets.iter().any(
            |watched| matches!(&watched.state, State::Service(service) if service.needs_time()),
        )
    }

    /// Whether the wait has ended for each target.
    pub fn is_done(&self) -> bool {
        self.missing == 0
    }

    /// The labels of the targets for which the wait has not ended. For those that are not open, or
    /// not gone, the reason.
    pub fn missing(&self) -> impl Iterator<Item = (&OsStr, Option<String>)> {
        self.targets.iter().filter_map(|Watched { target, state, .. }| {
            let reason = match state {
                State::Path { reason } => Some(reason.clone()),
                State::Service(service) => Some(service.reason()),
                State::Open { .. } => None,
                State::Done => return None,
            };
            Some((target.label.as_os_str(), reason))
        })
    }
}

/// Replaces each `listen:` target by one target for each of its descriptors. Returns the targets
/// with their positions on the command line.
fn with_descriptors(targets: Vec<Target>) -> Result<Vec<(usize, Target)>> {
    let mut result = Vec::new();
    for (position, target) in targets.into_iter().enumerate() {
        match &target.source {
            Source::Listen(name) => {
                for fd in inherited::listen_fds(name.as_deref())? {
                    let source = Source::Descriptor(fd);
                    result.push((position, Target { source, ..target.clone() }));
                }
            }
            _ => result.push((position, target)),
        }
    }
    Ok(result)
}
