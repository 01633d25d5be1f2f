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

use super::open::{keep_trying, open};
use super::target::{Source, Target};

/// How often a target that was reported is looked at again, to see its events change.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What doesn't end for a descriptor or a connection.
const FINAL: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

/// Called with what is to be reported.
type Report<'a> = dyn FnMut(&Target, PollFlags) -> io::Result<()> + 'a;

type Answer = (usize, io::Result<OwnedFd>);

pub struct Watch {
    targets: Vec<Target>,
    /// The target of each descriptor, by its place in `targets`.
    by_fd: HashMap<RawFd, usize>,
    /// What this command has opened itself.
    opened: Vec<OwnedFd>,
    /// The waker, and the open targets that are not in `reported`.
    waiting: PollSet,
    /// Targets that stay ready after they were reported, and what was reported last.
    reported: PollSet,
    last: HashMap<RawFd, PollFlags>,
    /// The targets that are not open yet, by their place in `targets`, and why.
    not_open: BTreeMap<usize, Option<io::Error>>,
    answers: (Sender<Answer>, Receiver<Answer>),
    waker: Arc<Waker>,
}

impl Watch {
    /// Opens the targets. Those that can't be opened yet are tried again while waiting.
    pub fn new(targets: Vec<Target>) -> Result<Self> {
        check_descriptors(&targets)?;
        let mut watch = Self {
            targets,
            by_fd: HashMap::new(),
            opened: Vec::new(),
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
    pub fn once(&mut self, deadline: Option<Instant>, report: &mut Report) -> io::Result<bool> {
        loop {
            let ready = self.wait(deadline)?;
            for &(fd, revents) in &ready {
                report(&self.targets[self.by_fd[&fd]], revents)?;
            }
            if !ready.is_empty() || is_over(deadline) {
                return Ok(!ready.is_empty());
            }
        }
    }

    /// Reports a target each time that its events change, until the time is up or nothing more can
    /// come. True: something was reported.
    pub fn follow(&mut self, deadline: Option<Instant>, report: &mut Report) -> io::Result<bool> {
        let mut reported_any = false;
        let mut tell = |watch: &mut Self, news: Vec<(RawFd, PollFlags)>| {
            for (fd, revents) in news {
                watch.set_reported(fd, revents)?;
                if !revents.is_empty() {
                    report(&watch.targets[watch.by_fd[&fd]], revents)?;
                    reported_any = true;
                }
            }
            Ok::<_, io::Error>(())
        };
        loop {
            let changed = self.changed()?;
            tell(self, changed)?;
            if self.has_ended() || is_over(deadline) {
                return Ok(reported_any);
            }
            let look_again = (!self.reported.is_empty()).then(|| Instant::now() + LOOK_AGAIN);
            let ready = self.wait(look_again.into_iter().chain(deadline).min())?;
            tell(self, ready)?;
        }
    }

    /// The targets that are not open yet, and why.
    pub fn not_open(&self) -> impl Iterator<Item = (&OsString, &io::Error)> {
        self.not_open
            .iter()
            .filter_map(|(&number, error)| Some((&self.targets[number].label, error.as_ref()?)))
    }

    fn open(&mut self, number: usize) -> Result<()> {
        let target = &self.targets[number];
        match &target.source {
            Source::Descriptor(fd) => return Ok(self.start(number, *fd)?),
            Source::Path(path) => match open(path, target.events) {
                Ok(file) => return Ok(self.start_opened(number, file)?),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context(format!("can't open {}", path.display())),
            },
            Source::Tcp { .. } => {}
        }
        self.not_open.insert(number, None);
        keep_trying(number, target, self.answers.0.clone(), self.waker.clone());
        Ok(())
    }

    fn start(&mut self, number: usize, fd: RawFd) -> io::Result<()> {
        self.by_fd.insert(fd, number);
        self.waiting.register(fd, self.targets[number].events)
    }

    fn start_opened(&mut self, number: usize, file: OwnedFd) -> io::Result<()> {
        self.start(number, file.as_raw_fd())?;
        self.opened.push(file);
        Ok(())
    }

    /// What of `waiting` is ready; empty if the time is up, or a target has just been opened.
    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Vec<(RawFd, PollFlags)>> {
        let events = self
            .waiting
            .poll(deadline.map_or(Timeout::Never, Timeout::At))?;
        if events.iter().any(|event| event.is_for(&*self.waker)) {
            self.take_answers()?;
        }
        let targets = events.iter().filter(|event| !event.is_for(&*self.waker));
        Ok(targets.map(|event| (event.fd, event.revents)).collect())
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
        Ok(fds
            .map(|fd| (fd, now(fd)))
            .filter(|(fd, now)| self.last[fd] != *now)
            .collect())
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
        to.register(fd, self.targets[self.by_fd[&fd]].events)?;
        self.last.insert(fd, revents);
        Ok(())
    }

    /// Whether nothing more can come: all have hung up, and none is a path, which others may
    /// open again.
    fn has_ended(&self) -> bool {
        self.not_open.is_empty()
            && self.by_fd.iter().all(|(fd, &number)| {
                !matches!(self.targets[number].source, Source::Path(_))
                    && self.last.get(fd).is_some_and(|last| last.intersects(FINAL))
            })
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Descriptors must be open, and can be watched once only.
fn check_descriptors(targets: &[Target]) -> Result<()> {
    let set = PollSet::new();
    for target in targets {
        let Source::Descriptor(fd) = target.source else {
            continue;
        };
        if set.contains(fd) {
            bail!("descriptor {fd} is named twice; join its events: {fd}:in,out");
        }
        set.register(fd, PollFlags::empty())?;
    }
    for event in set.poll(Duration::ZERO)? {
        if event.revents.contains(PollFlags::NVAL) {
            let fd = event.fd;
            bail!("descriptor {fd} is not open; have the shell open it, as in {fd}<FILE");
        }
    }
    Ok(())
}
