//! The targets while they are waited for.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pollset::{PollFlags, PollSet, Timeout, Waker};

use super::open::{Answer, connect, keep_trying, open};
use super::target::{Source, Target, WRITING};
use crate::misuse::Misuse;

/// How often a target that was reported is looked at again, to see its events change.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a first attempt may take, even if the time is up sooner.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);

/// What doesn't end for a descriptor or a connection.
const FINAL: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

/// Called with what is to be reported: a target, its place among all, and its events.
type Report<'a> = dyn FnMut(usize, &Target, PollFlags) -> io::Result<()> + 'a;

pub struct Watch {
    targets: Vec<Target>,
    /// What every target is watched for besides the events that it asks for.
    besides: PollFlags,
    deadline: Option<Instant>,
    first_attempts_end: Instant,
    /// The target of each descriptor, by its place in `targets`.
    by_fd: HashMap<RawFd, usize>,
    /// What this command has opened itself.
    opened: Vec<OwnedFd>,
    /// Something is open that no wait has asked about yet.
    unasked: bool,
    /// The waker, and the open targets that are not in `reported`.
    waiting: PollSet,
    /// Targets that stay ready after they were reported, and what was reported last.
    reported: PollSet,
    last: HashMap<RawFd, PollFlags>,
    /// The targets that are not open yet, by their place in `targets`, and why; `None` before the
    /// first attempt has ended.
    not_open: BTreeMap<usize, Option<io::Error>>,
    answers: (Sender<Answer>, Receiver<Answer>),
    waker: Arc<Waker>,
}

impl Watch {
    /// To report once what is ready, with [`once`](Self::once).
    pub fn for_once(targets: Vec<Target>, deadline: Option<Instant>) -> Result<Self> {
        Self::new(targets, PollFlags::empty(), deadline)
    }

    /// To report each change, with [`follow`](Self::follow).
    pub fn for_long(targets: Vec<Target>, deadline: Option<Instant>) -> Result<Self> {
        Self::new(targets, rdhup(), deadline)
    }

    /// Opens the targets. Those that can't be opened yet are tried again while waiting.
    fn new(targets: Vec<Target>, besides: PollFlags, deadline: Option<Instant>) -> Result<Self> {
        check_descriptors(&targets)?;
        let mut watch = Self {
            targets,
            besides,
            deadline,
            first_attempts_end: Instant::now() + FIRST_ATTEMPT,
            by_fd: HashMap::new(),
            opened: Vec::new(),
            unasked: false,
            waiting: PollSet::new(),
            reported: PollSet::new(),
            last: HashMap::new(),
            not_open: BTreeMap::new(),
            answers: channel(),
            waker: Arc::new(Waker::new()?),
        };
        watch.waiting.register(&*watch.waker, PollFlags::IN)?;
        for number in 0..watch.targets.len() {
            watch.open(number)?;
        }
        Ok(watch)
    }

    /// Waits until something is ready, and reports it. False: the time was up first.
    pub fn once(&mut self, report: &mut Report) -> io::Result<bool> {
        loop {
            let ready = self.wait(None)?;
            for &(fd, revents) in &ready {
                let number = self.by_fd[&fd];
                report(number, &self.targets[number], revents)?;
            }
            if !ready.is_empty() || self.time_is_up() {
                return Ok(!ready.is_empty());
            }
        }
    }

    /// Reports a target each time that its events change, until the time is up or nothing more can
    /// come. True: something was reported.
    pub fn follow(&mut self, report: &mut Report) -> io::Result<bool> {
        let mut reported_any = false;
        let mut tell = |watch: &mut Self, news: Vec<(RawFd, PollFlags)>| {
            for (fd, revents) in news {
                watch.set_reported(fd, revents)?;
                if !revents.is_empty() {
                    let number = watch.by_fd[&fd];
                    report(number, &watch.targets[number], revents)?;
                    reported_any = true;
                }
            }
            Ok::<_, io::Error>(())
        };
        loop {
            let look_again = (!self.reported.is_empty()).then(|| Instant::now() + LOOK_AGAIN);
            let ready = self.wait(look_again)?;
            tell(self, ready)?;
            let changed = self.changed()?;
            tell(self, changed)?;
            if self.has_ended() || self.time_is_up() {
                return Ok(reported_any);
            }
        }
    }

    /// The targets that are not open yet, and why.
    pub fn not_open(&self) -> impl Iterator<Item = (&OsString, String)> {
        self.not_open.iter().map(|(&number, error)| {
            let why = error.as_ref().map_or("no answer yet".to_owned(), io::Error::to_string);
            (&self.targets[number].label, why)
        })
    }

    fn open(&mut self, number: usize) -> Result<()> {
        let Target { source, events, .. } = self.targets[number].clone();
        match source {
            Source::Descriptor(fd) => self.start(number, fd)?,
            Source::Path(path) => match open(&path, events) {
                Ok(file) => self.start_opened(number, file)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.not_open.insert(number, Some(error));
                    self.keep_trying(number, move || open(&path, events))?;
                }
                Err(error) => {
                    let path = path.display();
                    bail!(Misuse(format!("can't open {path}: {error}")));
                }
            },
            Source::Tcp { host, port } => {
                self.not_open.insert(number, None);
                self.keep_trying(number, move || connect(&host, port))?;
            }
        }
        Ok(())
    }

    fn keep_trying(
        &self,
        number: usize,
        attempt: impl Fn() -> io::Result<OwnedFd> + Send + 'static,
    ) -> Result<()> {
        keep_trying(number, attempt, self.answers.0.clone(), self.waker.clone()).with_context(
            || format!("can't start a thread for {}", self.targets[number].label.display()),
        )
    }

    fn start(&mut self, number: usize, fd: RawFd) -> io::Result<()> {
        self.unasked = true;
        self.by_fd.insert(fd, number);
        self.waiting.register(fd, self.watched_for(number))
    }

    fn start_opened(&mut self, number: usize, file: OwnedFd) -> io::Result<()> {
        self.start(number, file.as_raw_fd())?;
        self.opened.push(file);
        Ok(())
    }

    fn watched_for(&self, number: usize) -> PollFlags {
        self.targets[number].events | self.besides
    }

    /// What of `waiting` is ready; empty if the time is up, `until` has come, or there was an
    /// answer to an attempt.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<Vec<(RawFd, PollFlags)>> {
        self.unasked = false;
        let until = until.into_iter().chain(self.time_limit()).min();
        let events = self.waiting.poll(until.map_or(Timeout::Never, Timeout::At))?;
        if events.iter().any(|event| event.is_for(&*self.waker)) {
            self.take_answers()?;
        }
        let targets = events.iter().filter(|event| !event.is_for(&*self.waker));
        Ok(targets.map(|event| (event.fd, event.revents)).collect())
    }

    /// The deadline, but not before each first attempt has ended or has had its time.
    fn time_limit(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let all_attempted = self.not_open.values().all(Option::is_some);
        Some(if all_attempted { deadline } else { deadline.max(self.first_attempts_end) })
    }

    fn time_is_up(&self) -> bool {
        !self.unasked && self.time_limit().is_some_and(|at| Instant::now() >= at)
    }

    fn take_answers(&mut self) -> io::Result<()> {
        self.waker.clear()?;
        while let Ok((number, answer)) = self.answers.1.try_recv() {
            match answer {
                Ok(file) => {
                    self.not_open.remove(&number);
                    self.start_opened(number, file)?;
                }
                Err(error) => {
                    self.not_open.insert(number, Some(error));
                }
            }
        }
        Ok(())
    }

    /// What of `reported` has other events now than were reported last.
    fn changed(&self) -> io::Result<Vec<(RawFd, PollFlags)>> {
        let ready: HashMap<_, _> = self
            .reported
            .poll(Duration::ZERO)?
            .into_iter()
            .map(|event| (event.fd, event.revents))
            .collect();
        let now = |fd| ready.get(&fd).copied().unwrap_or(PollFlags::empty());
        let fds = self.reported.iter().map(|(fd, _)| fd);
        Ok(fds.map(|fd| (fd, now(fd))).filter(|(fd, now)| self.last[fd] != *now).collect())
    }

    /// Moves a target to the set where it belongs.
    fn set_reported(&mut self, fd: RawFd, revents: PollFlags) -> io::Result<()> {
        let (to, from) = if revents.is_empty() {
            (&self.waiting, &self.reported)
        } else {
            (&self.reported, &self.waiting)
        };
        // It may be there already, with other events.
        let _ = from.unregister(fd);
        to.register(fd, self.watched_for(self.by_fd[&fd]))?;
        self.last.insert(fd, revents);
        Ok(())
    }

    /// Whether nothing more can come from any target.
    fn has_ended(&self) -> bool {
        self.not_open.is_empty()
            && self.by_fd.iter().all(|(fd, &number)| {
                let last = self.last.get(fd).copied();
                last.is_some_and(|last| last.intersects(final_events(&self.targets[number])))
            })
    }
}

/// The events after which nothing more can come from a target.
fn final_events(target: &Target) -> PollFlags {
    match target.source {
        // Others may open it again.
        Source::Path(_) => PollFlags::empty(),
        // Nobody but this command could write to it.
        Source::Tcp { .. } => FINAL | rdhup(),
        Source::Descriptor(_) if target.events.intersects(WRITING) => FINAL,
        Source::Descriptor(_) => FINAL | rdhup(),
    }
}

/// `RDHUP`, where the system has it.
fn rdhup() -> PollFlags {
    PollFlags::from_name("RDHUP").unwrap_or(PollFlags::empty())
}

/// Descriptors must be open, and can be watched once only.
fn check_descriptors(targets: &[Target]) -> Result<()> {
    let set = PollSet::new();
    for target in targets {
        let Source::Descriptor(fd) = target.source else {
            continue;
        };
        if set.contains(fd) {
            bail!(Misuse(format!("descriptor {fd} is named twice; join its events: {fd}:in,out")));
        }
        set.register(fd, PollFlags::empty())?;
    }
    for event in set.poll(Duration::ZERO)? {
        if event.revents.contains(PollFlags::NVAL) {
            let fd = event.fd;
            bail!(Misuse(format!(
                "descriptor {fd} is not open; have the shell open it, as in {fd}<FILE"
            )));
        }
    }
    Ok(())
}
