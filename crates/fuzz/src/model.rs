//! What must be true of a set: what is registered, what its numbers mean, and which of them the set
//! may not know about yet.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use indexmap::IndexMap;
use pollset::{Engine, Event, PollFlags, PollSet};
use pollset_testkit::oracle::kernel_poll;
use pollset_testkit::twist::{Doubt, is_same_file, is_tcp, is_unix_datagram, twist};
use rustix::io::{DupFlags, dup3, fcntl_dupfd_cloexec, fcntl_getfd};

use crate::Which;

#[derive(Default)]
pub struct Model {
    /// All numbers that the program has come across.
    numbers: Vec<RawFd>,
    /// One of them that the program leaves alone for now.
    reserved: Option<RawFd>,
    /// The program's own files.
    open: BTreeMap<RawFd, OwnedFd>,
    registered: IndexMap<RawFd, PollFlags>,
    most_registered: usize,
    /// Registered numbers that were closed or given another file since, or became ready without a
    /// sign.
    stale: BTreeSet<RawFd>,
    /// A number was closed or given another file, registered or not.
    pub has_closed: bool,
    /// Numbers of the set's own instances that were registered.
    instances: BTreeSet<RawFd>,
    /// Somebody has taken the instance away from the set.
    is_tampered: bool,
    /// What threads have touched since [`forget_touched`](Self::forget_touched).
    touched: BTreeSet<RawFd>,
    /// How many entries poll(2) takes.
    pub limit: usize,
}

impl Model {
    /// Empty, where poll(2) takes so many entries.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub fn which(&self, which: Which) -> Option<RawFd> {
        let place = usize::from(which).checked_rem(self.numbers.len())?;
        Some(self.numbers[place]).filter(|number| self.reserved != Some(*number))
    }

    /// Has the program leave a number alone, although it was its own once.
    pub fn reserve(&mut self, number: Option<RawFd>) {
        self.reserved = number;
    }

    /// The file on a number, if it is the program's.
    pub fn file(&self, which: Which) -> Option<&OwnedFd> {
        self.open.get(&self.which(which)?)
    }

    /// These have no room for a moment when something is written to them.
    pub fn is_terminal(&self, number: RawFd) -> bool {
        self.open.get(&number).is_some_and(IsTerminal::is_terminal)
    }

    pub fn owns(&self, number: RawFd) -> bool {
        self.open.contains_key(&number)
    }

    pub fn files(&self) -> impl Iterator<Item = &OwnedFd> {
        self.open.values()
    }

    /// The program has opened a file, on a number that nobody had.
    pub fn opened(&mut self, file: OwnedFd) -> RawFd {
        let number = file.as_raw_fd();
        self.note(number);
        let before = self.open.insert(number, file);
        assert!(before.is_none(), "two files on {number}");
        number
    }

    pub fn note(&mut self, number: RawFd) {
        if !self.numbers.contains(&number) {
            self.numbers.push(number);
        }
        self.touched.insert(number);
    }

    pub fn close(&mut self, which: Which) {
        let Some(number) = self.which(which) else { return };
        self.note(number);
        if self.open.remove(&number).is_some() {
            self.is_stale(number);
        }
    }

    /// Puts the file of one number on another one, unless that is somebody else's.
    pub fn dup2(&mut self, file: Which, over: Which) {
        if let (Some(file), Some(over)) = (self.which(file), self.which(over)) {
            self.dup2_number(file, over);
        }
    }

    /// The same, by their numbers.
    pub fn dup2_number(&mut self, file: RawFd, over: RawFd) {
        let Some(new) = self.open.get(&file).map(|file| file.try_clone()) else { return };
        let Ok(new) = new else { return };
        self.note(over);
        // It was open for a moment.
        self.touched.insert(new.as_raw_fd());
        if let Some(mut old) = self.open.remove(&over) {
            // Above a lowered limit it fails.
            let outcome = dup3(&new, &mut old, DupFlags::CLOEXEC);
            self.open.insert(over, old);
            if outcome.is_ok() {
                self.is_stale(over);
            }
        } else if let Ok(file) = fcntl_dupfd_cloexec(&new, over) {
            if file.as_raw_fd() == over {
                self.open.insert(over, file);
            } else {
                self.touched.insert(file.as_raw_fd());
            }
        }
    }

    /// Twists a file. What that makes doubtful, epoll may be wrong about.
    pub fn twist(&mut self, which: Which) {
        let Some(file) = self.file(which) else { return };
        let doubt = twist(file, self.files().map(AsFd::as_fd));
        let numbers = match doubt {
            Doubt::None => return,
            Doubt::This => self.registered_files(|other| is_same_file(file, other)),
            Doubt::Datagrams => self.registered_files(|other| is_unix_datagram(other)),
        };
        self.stale.extend(numbers);
    }

    /// A forked child, which shares the files, has twisted some.
    pub fn twisted_by_child(&mut self) {
        let numbers = self.registered_files(|file| is_tcp(file) || is_unix_datagram(file));
        self.stale.extend(numbers);
    }

    fn registered_files(&self, is_meant: impl Fn(&OwnedFd) -> bool) -> Vec<RawFd> {
        let files = self.open.iter().filter(|(number, _)| self.registered.contains_key(*number));
        files.filter(|(_, file)| is_meant(file)).map(|(number, _)| *number).collect()
    }

    fn is_stale(&mut self, number: RawFd) {
        self.has_closed = true;
        if self.registered.contains_key(&number) {
            self.stale.insert(number);
        }
    }

    /// The file on this number was the set's own.
    pub fn tampered(&mut self, number: RawFd, file: Option<OwnedFd>) {
        self.is_tampered = true;
        self.note(number);
        self.is_stale(number);
        if let Some(file) = file {
            self.open.insert(number, file);
        }
    }

    /// Everything was closed.
    pub fn forget_files(&mut self) {
        self.has_closed = true;
        for (_, file) in std::mem::take(&mut self.open) {
            let _ = file.into_raw_fd();
        }
    }

    pub fn close_files(&mut self) {
        self.open.clear();
    }

    pub fn register(&mut self, set: &PollSet, number: RawFd, mask: PollFlags) {
        set.register(number, mask).expect("it is not negative");
        self.touched.insert(number);
        self.registered.insert(number, mask);
        self.stale.remove(&number);
        self.most_registered = self.most_registered.max(self.registered.len());
    }

    pub fn modify(&mut self, set: &PollSet, which: Which, mask: PollFlags) {
        let Some(number) = self.which(which) else { return };
        self.touched.insert(number);
        let known = self.registered.get_mut(&number).map(|known| *known = mask).is_some();
        assert_eq!(set.modify(number, mask).is_ok(), known, "modify({number})");
    }

    pub fn unregister(&mut self, set: &PollSet, number: RawFd) {
        self.touched.insert(number);
        self.stale.remove(&number);
        let known = self.registered.shift_remove(&number).is_some();
        assert_eq!(set.unregister(number).is_ok(), known, "unregister({number})");
    }

    /// Registers a number again, with the mask that it has.
    pub fn register_again(&mut self, set: &PollSet, number: RawFd) {
        if let Some(&mask) = self.registered.get(&number) {
            self.register(set, number, mask);
        }
    }

    pub fn registered(&self) -> Vec<(RawFd, PollFlags)> {
        self.registered.iter().map(|(&number, &mask)| (number, mask)).collect()
    }

    pub fn forget_touched(&mut self) {
        self.touched.clear();
    }

    pub fn was_touched(&self, number: RawFd) -> bool {
        self.touched.contains(&number)
    }

    pub fn register_instance(&mut self, set: &PollSet, number: RawFd, mask: PollFlags) {
        self.note(number);
        self.instances.insert(number);
        self.register(set, number, mask);
    }

    /// Whether a wait without a timeout ends with these: instances are ready, or no longer, by what
    /// the wait itself does.
    pub fn end_a_wait(&self, events: &[Event]) -> bool {
        let certain = self.certain(events, Some(Engine::Epoll));
        certain.iter().any(|event| !self.instances.contains(&event.fd))
    }

    /// How many re-checks are a pass over all that the set has on epoll.
    pub fn checks_of_all(&self) -> u64 {
        self.most_registered as u64 + 1
    }

    /// A wait is over, during which what was unregistered had not gone yet.
    pub fn count_touched(&mut self) {
        let registered = self.registered.len() + self.touched.len();
        self.most_registered = self.most_registered.max(registered);
    }

    pub fn has_doubts(&self) -> bool {
        self.is_tampered || !self.stale.is_empty()
    }

    /// The set knows all there is to know: it has started over, or had the time to find it.
    pub fn has_settled(&mut self) {
        self.stale.clear();
        self.is_tampered = false;
    }

    /// More is registered than poll(2) takes.
    pub fn is_over_limit(&self) -> bool {
        self.registered.len() > self.limit
    }

    /// What poll(2) answers.
    pub fn kernel(&self) -> Vec<Event> {
        self.kernel_about(&self.registered())
    }

    pub fn kernel_about(&self, registered: &[(RawFd, PollFlags)]) -> Vec<Event> {
        registered.chunks(self.limit).flat_map(kernel_poll).collect()
    }

    /// Whether a wait on this engine has to be right about this number, at once.
    pub fn is_certain(&self, number: RawFd, engine: Option<Engine>) -> bool {
        engine != Some(Engine::Epoll) || !self.is_tampered && !self.stale.contains(&number)
    }

    /// Of these, the events that a wait on this engine has to be right about.
    pub fn certain(&self, events: &[Event], engine: Option<Engine>) -> Vec<Event> {
        let events = events.iter().copied();
        events.filter(|event| self.is_certain(event.fd, engine)).collect()
    }

    /// Whatever else it is, this is a possible answer: in the order of registration, each number
    /// once, and nothing that wasn't asked for.
    pub fn assert_possible(&self, events: &[Event]) {
        let mut last = None;
        for event in events {
            let Some((place, _, &mask)) = self.registered.get_full(&event.fd) else {
                panic!("{event:?} is not registered");
            };
            assert!(last < Some(place), "{event:?} comes too late in {events:?}");
            last = Some(place);
            assert_asked_for(*event, mask);
        }
    }
}

pub fn assert_asked_for(event: Event, mask: PollFlags) {
    let allowed = mask | PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let is_right = !event.revents.is_empty() && allowed.contains(event.revents);
    assert!(is_right, "{event:?} for the mask {mask}");
}

pub fn assert_open(file: &OwnedFd) {
    assert!(fcntl_getfd(file).is_ok(), "{} is not the set's, and was closed", file.as_raw_fd());
}
