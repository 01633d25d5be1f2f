//! Runs a program on a set and real descriptors.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Builder, ConcurrentPoll, Engine, Event, PollFlags, PollSet, Step as Stage, Timeout, Waker};
use pollset_testkit::kinds::{self, Kind};
use pollset_testkit::signal::Alarm;
use pollset_testkit::{LONG, NOW, number};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::DupFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::child::{end_with, open_files, wait_for};
use crate::model::{Model, assert_asked_for, assert_open};
use crate::{Action, How, Program, SharedCounts, Step, Until, Which, raw};

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

/// More than enough for everything that is on its way through the kernel to arrive.
const ATTEMPTS: usize = 10_000;
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
                while files.len() < usize::from(*count) && self.has_room() {
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
            Step::Register(which, mask) => self.register(*which, mask.0),
            Step::RegisterNumber(number, mask) => {
                let mut model = self.model();
                model.note(*number);
                model.register(&self.set, *number, mask.0);
            }
            Step::RegisterInstance(mask) => {
                if let Some(number) = self.instance() {
                    let mut model = self.model();
                    model.note(number);
                    model.register(&self.set, number, mask.0);
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
            Step::Fork(steps) => self.fork(|world| {
                world.agree();
                world.steps(steps);
            }),
            Step::Daemon(kind, count, steps) => self.fork(|world| world.daemon(*kind, *count, steps)),
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

    fn has_room(&self) -> bool {
        !self.is_starved && self.model().files().count() < self.room
    }

    /// Files on the lowest numbers that are free; `None`: one that is not open.
    fn make(&self, kind: Kind) -> Vec<Option<OwnedFd>> {
        if !self.has_room() {
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
        let files = open_files().into_iter();
        let instances = files.filter(|(_, file)| file == "anon_inode:[eventpoll]");
        let numbers = instances.map(|(number, _)| number);
        numbers.filter(|n| !model.owns(*n) && !self.inherited.contains(n)).collect()
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

    /// The set answers what the kernel answers, waiting or not.
    fn agree(&self) {
        self.agree_on(&self.model());
    }

    fn agree_on(&self, model: &Model) {
        for _ in 0..ATTEMPTS {
            let before = model.kernel();
            let asked = self.wait(model, How::Poll, NOW);
            if model.kernel() != before {
                continue; // something was on its way through the kernel
            }
            asked.check(model, &before, "without waiting");
            // So that it doesn't wait for what the set may not know yet.
            if !model.certain(&before, Some(Engine::Epoll)).is_empty() {
                let waited = self.wait(model, How::Poll, None);
                if model.kernel() != before {
                    continue;
                }
                waited.check(model, &before, "waiting");
            }
            self.counts.count_comparison();
            return;
        }
        panic!("the kernel's answer changes all the time");
    }

    fn wait(&self, model: &Model, how: How, timeout: impl Into<Timeout>) -> Answer {
        let outcome = self.wait_as(how, timeout.into());
        let engine = self.set.stats().last_engine;
        match outcome {
            Ok(events) => {
                self.counts.count_wait(engine);
                let is_right = !model.is_over_limit() || engine == Some(Engine::Epoll);
                assert!(is_right, "poll(2) takes fewer entries than it has answered");
                Answer { events: Some(events), engine }
            }
            Err(error) => {
                let is_right =
                    model.is_over_limit() && error.raw_os_error() == Some(libc::EINVAL);
                assert!(is_right, "a wait failed: {error}");
                Answer { events: None, engine }
            }
        }
    }

    fn wait_as(&self, how: How, timeout: Timeout) -> std::io::Result<Vec<Event>> {
        let nothing = Event { fd: -1, revents: PollFlags::empty() };
        let places = match how {
            How::Poll => return self.set.poll(timeout),
            How::Into => {
                let mut events = vec![nothing; 3];
                let count = self.set.poll_into(&mut events, timeout)?;
                assert_eq!(count, events.len());
                return Ok(events);
            }
            How::Steps => 0,
            How::Answers(places) => places.into(),
        };
        let mut waiting = self.set.start(timeout)?;
        let ready = loop {
            match waiting.step()? {
                Stage::Ready(ready) => break ready,
                Stage::Unfinished | Stage::Interrupted => {}
            }
        };
        let mut events = Vec::new();
        if places == 0 {
            events.extend(std::iter::from_fn(|| waiting.take_event()));
        } else {
            let slots = waiting.slots();
            let mut answers = vec![(0, nothing); places];
            let mut last = None;
            loop {
                let count = waiting.take_answers(&mut answers);
                for &(slot, event) in &answers[..count] {
                    assert!(slot < slots && last < Some(slot), "slot {slot} of {slots}");
                    last = Some(slot);
                    events.push(event);
                }
                if count < places {
                    break;
                }
            }
        }
        assert_eq!(events.len(), ready, "as many events as were announced");
        Ok(events)
    }

    fn poll(&self, how: How, timeout: Duration) {
        let model = self.model();
        let before = model.kernel();
        let start = Instant::now();
        let answer = self.wait(&model, how, timeout);
        answer.assert_not_early(start, timeout);
        if model.kernel() == before {
            answer.check(&model, &before, "for some time");
        }
    }

    fn poll_often(&self, count: u16) {
        let model = self.model();
        let before = model.kernel();
        for _ in 0..count {
            let answer = self.wait(&model, How::Into, NOW);
            if !answer.agrees(&model, &before) {
                if model.kernel() == before {
                    answer.check(&model, &before, "again and again");
                }
                break;
            }
        }
    }

    /// What was closed behind the back of a set on epoll is found in a while. On poll(2) there is
    /// nothing to find.
    fn settle(&self) {
        let mut model = self.model();
        if !model.has_doubts() || model.registered().is_empty() {
            return;
        }
        let start = Instant::now();
        let audited = self.set.stats().audited;
        let mut found_after = Duration::ZERO;
        loop {
            let before = model.kernel();
            let answer = self.wait(&model, How::Poll, NOW);
            if model.kernel() != before && start.elapsed() < LONG {
                continue;
            }
            answer.check(&model, &before, "while it settles");
            let (Some(Engine::Epoll), Some(events)) = (answer.engine, answer.events) else {
                return;
            };
            if events != before {
                found_after = start.elapsed();
                assert!(found_after < LONG, "{events:?} instead of {before:?}, for ever");
            } else if self.set.stats().audited - audited > model.checks_of_all() {
                self.counts.count_settled(found_after);
                model.has_settled();
                return;
            }
        }
    }

    fn new_set(&self) {
        let model = self.model();
        let before = model.kernel();
        let mut set = Builder::new().engine(self.engine).build();
        set.register_all(model.registered()).expect("none is negative");
        let answer = set.poll(NOW);
        if model.kernel() == before && !model.is_over_limit() {
            assert_eq!(answer.expect("it is asked"), before, "a new set");
        }
    }

    fn during(&self, until: Until, threads: &[Vec<Action>]) {
        let waker = match until {
            Until::Woken if !self.is_starved => Waker::new().ok(),
            _ => None,
        };
        let timeout = match until {
            Until::Timeout(us) => Some(Duration::from_micros(us.into())),
            Until::Woken => waker.is_none().then_some(Duration::from_millis(1)),
        };
        let is_shared = threads.iter().flatten().any(|action| *action == Action::Poll);

        let mut model = self.model();
        if let Some(waker) = &waker {
            model.register(&self.set, waker.as_raw_fd(), PollFlags::IN);
            model.reserve(Some(waker.as_raw_fd()));
        }
        let registered = model.registered();
        let certain = |model: &Model| -> Vec<RawFd> {
            let numbers = registered.iter().map(|&(number, _)| number);
            numbers.filter(|number| model.is_certain(*number, Some(Engine::Epoll))).collect()
        };
        let certain_before = certain(&model);
        let before = model.kernel();
        let is_over_limit = model.is_over_limit();
        model.forget_touched();
        drop(model);

        let start = Instant::now();
        let answer = thread::scope(|scope| {
            let threads: Vec<_> =
                threads.iter().map(|actions| scope.spawn(|| self.act_all(actions))).collect();
            if let Some(waker) = &waker {
                scope.spawn(move || {
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                    waker.wake().expect("it is open");
                });
            }
            loop {
                match self.set.poll(timeout) {
                    Err(error) if is_shared && is_concurrent(&error) => thread::yield_now(),
                    outcome => break outcome,
                }
            }
        });
        let engine = self.set.stats().last_engine;

        let mut model = self.model();
        model.count_touched();
        let is_over_limit = is_over_limit || model.is_over_limit();
        let events = match answer {
            Ok(events) => Some(events),
            Err(error) => {
                let is_right = is_over_limit && error.raw_os_error() == Some(libc::EINVAL);
                assert!(is_right, "a wait failed: {error}");
                None
            }
        };
        let answer = Answer { events, engine };
        if let Some(timeout) = timeout {
            answer.assert_not_early(start, timeout);
        } else {
            assert_ne!(answer.events.as_deref(), Some(&[][..]), "a wait without a timeout");
        }
        let after = model.kernel_about(&registered);
        let certain_after = certain(&model);
        if let Some(events) = &answer.events {
            self.counts.count_wait(engine);
            let mut last = None;
            for event in events {
                let place = registered.iter().position(|(number, _)| *number == event.fd);
                if model.was_touched(event.fd) {
                    continue;
                }
                let place = place.unwrap_or_else(|| panic!("{event:?} is not registered"));
                assert!(last < Some(place), "{event:?} comes too late in {events:?}");
                last = Some(place);
                assert_asked_for(*event, registered[place].1);
            }
            for &(number, _) in &registered {
                let of = |events: &[Event]| events.iter().copied().find(|event| event.fd == number);
                let is_certain = certain_before.contains(&number)
                    && certain_after.contains(&number)
                    && !model.was_touched(number);
                if is_certain && of(&before) == of(&after) {
                    assert_eq!(of(events), of(&before), "{number}, while others were changed");
                }
            }
        }
        if let Some(waker) = waker {
            model.reserve(None);
            model.unregister(&self.set, waker.as_raw_fd());
        }
    }

    fn act_all(&self, actions: &[Action]) {
        actions.iter().for_each(|action| self.act(action));
    }

    fn act(&self, action: &Action) {
        match *action {
            Action::Sleep(us) => thread::sleep(Duration::from_micros(us.into())),
            Action::Register(which, mask) => self.register(which, mask.0),
            Action::Modify(which, mask) => self.model().modify(&self.set, which, mask.0),
            Action::Unregister(which) => self.unregister(which),
            Action::Write(which) => self.write(which),
            Action::Close(which) => self.model().close(which),
            Action::Dup2(file, over) => self.model().dup2(file, over),
            Action::Poll => match self.set.poll(Duration::from_micros(50)) {
                Err(error) if is_concurrent(&error) => {}
                Err(error) => assert!(self.model().is_over_limit(), "a wait failed: {error}"),
                Ok(_) => {}
            },
            Action::Fork(which) => {
                let mut model = self.model();
                match raw::fork() {
                    None => end_with(self.counts, || self.act_in_child(&mut model, which)),
                    Some(child) => {
                        drop(model);
                        join(child);
                    }
                }
            }
        }
    }

    /// In a child that was forked during a wait.
    fn act_in_child(&self, model: &mut Model, which: Which) {
        model.has_settled();
        self.agree_on(model);
        if let Some(number) = model.which(which) {
            for mask in [PollFlags::empty(), PollFlags::DEFAULT] {
                model.unregister(&self.set, number);
                self.agree_on(model);
                model.register(&self.set, number, mask);
                self.agree_on(model);
            }
        }
    }

    /// Goes on in a child, which has a set of its own.
    fn fork(&mut self, body: impl FnOnce(&mut Self)) {
        match raw::fork() {
            None => end_with(self.counts, || {
                self.holders.clear();
                self.model().has_settled();
                body(self);
                self.finish();
            }),
            Some(child) => join(child),
        }
    }

    fn daemon(&mut self, kind: Kind, count: u8, steps: &[Step]) {
        raw::close_all();
        self.model().forget_files();
        self.inherited.clear();
        let file = self.make(kind).into_iter().flatten().next();
        if let Some(file) = file {
            for _ in 0..count {
                let dup = file.try_clone().expect("there is room");
                self.model().opened(dup);
            }
            self.model().opened(file);
        }
        // It starts over: nothing of what was closed is known to it.
        self.agree();
        self.steps(steps);
    }

    fn hold(&mut self) {
        match raw::fork() {
            None => loop {
                thread::sleep(LONG);
            },
            Some(child) => self.holders.push(child),
        }
    }

    fn let_go(&mut self) {
        for holder in self.holders.drain(..) {
            let _ = kill_process(holder, Signal::KILL);
            wait_for(holder);
        }
    }

    /// Lowers the limit of descriptors to what is open.
    fn starved(&mut self, steps: &[Step]) {
        let before = getrlimit(Resource::Nofile);
        let lowest = lowest_free_number();
        let (Some(lowest), false) = (lowest, self.is_starved) else {
            return self.steps(steps);
        };
        let lowered = Rlimit { current: Some(lowest as u64), ..before.clone() };
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

/// What a wait has come to. No events: there are more registered than poll(2) takes.
struct Answer {
    events: Option<Vec<Event>>,
    engine: Option<Engine>,
}

impl Answer {
    fn check(&self, model: &Model, kernel: &[Event], how: &str) {
        let Some(events) = &self.events else { return };
        model.assert_possible(events);
        let (ours, kernels) = (model.certain(events, self.engine), model.certain(kernel, self.engine));
        assert_eq!(ours, kernels, "{how}, on {:?}", self.engine);
    }

    fn agrees(&self, model: &Model, kernel: &[Event]) -> bool {
        self.events.as_ref().is_none_or(|events| {
            model.certain(events, self.engine) == model.certain(kernel, self.engine)
        })
    }

    fn assert_not_early(&self, start: Instant, timeout: Duration) {
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            let took = start.elapsed();
            assert!(took >= timeout, "{took:?} instead of {timeout:?}");
        }
    }
}

fn is_concurrent(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>())
}

fn join(child: Pid) {
    let status = wait_for(child);
    assert_eq!(status.exit_status(), Some(0), "a forked child ended with {status:?}");
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
    let mut buffer = vec![0; 65_536];
    for _ in 0..64 {
        if !matches!(rustix::io::read(file, &mut buffer), Ok(1..)) {
            break;
        }
    }
}
