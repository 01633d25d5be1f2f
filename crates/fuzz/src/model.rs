//! The expected state of a set: its registrations, their files, and the registrations whose entry
//! on epoll may be stale.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use indexmap::IndexMap;
use pollset::{Engine, Event, PollFlags};

use crate::object::Object;
use pollset_testkit::oracle::kernel_poll;
use pollset_testkit::toggle::{Affected, is_same_file, is_tcp, is_unix_datagram, toggle};
use rustix::io::{DupFlags, dup3, fcntl_dupfd_cloexec, fcntl_getfd};

use crate::FdIndex;

#[derive(Default)]
pub struct Model {
    /// All descriptors that the program has used, open or not.
    fds: Vec<RawFd>,
    /// One of them that the program must not use for now.
    reserved: Option<RawFd>,
    /// The program's own files.
    files: BTreeMap<RawFd, OwnedFd>,
    registrations: IndexMap<RawFd, PollFlags>,
    max_registrations: usize,
    /// Registered descriptors that were closed or replaced since, or became ready without a
    /// wake-up.
    stale: BTreeSet<RawFd>,
    /// Whether any descriptor was closed or replaced, registered or not.
    pub has_closed: bool,
    /// The set's own epoll instances that were registered.
    instances: BTreeSet<RawFd>,
    /// Whether the set's instance was closed or replaced.
    is_tampered: bool,
    /// The descriptors that threads have used since [`clear_touched`](Self::clear_touched).
    touched: BTreeSet<RawFd>,
    /// How many entries poll(2) takes.
    pub poll_limit: usize,
}

impl Model {
    pub fn new(poll_limit: usize) -> Self {
        Self { poll_limit, ..Self::default() }
    }

    pub fn fd(&self, index: FdIndex) -> Option<RawFd> {
        let place = usize::from(index).checked_rem(self.fds.len())?;
        Some(self.fds[place]).filter(|fd| self.reserved != Some(*fd))
    }

    /// Excludes a descriptor from those that the program uses.
    pub fn reserve(&mut self, fd: Option<RawFd>) {
        self.reserved = fd;
    }

    /// The program's own file with this index.
    pub fn file(&self, index: FdIndex) -> Option<&OwnedFd> {
        self.files.get(&self.fd(index)?)
    }

    /// Terminals have no room for a moment after a write.
    pub fn is_terminal(&self, fd: RawFd) -> bool {
        self.files.get(&fd).is_some_and(IsTerminal::is_terminal)
    }

    pub fn owns(&self, fd: RawFd) -> bool {
        self.files.contains_key(&fd)
    }

    pub fn files(&self) -> impl Iterator<Item = &OwnedFd> {
        self.files.values()
    }

    /// Adds a file that the program has opened on a free descriptor.
    pub fn add_file(&mut self, file: OwnedFd) -> RawFd {
        let fd = file.as_raw_fd();
        self.add_fd(fd);
        let before = self.files.insert(fd, file);
        assert!(before.is_none(), "two files on descriptor {fd}");
        fd
    }

    pub fn add_fd(&mut self, fd: RawFd) {
        if !self.fds.contains(&fd) {
            self.fds.push(fd);
        }
        self.touched.insert(fd);
    }

    pub fn close(&mut self, index: FdIndex) {
        let Some(fd) = self.fd(index) else { return };
        self.add_fd(fd);
        if self.files.remove(&fd).is_some() {
            self.mark_closed(fd);
        }
    }

    /// Duplicates a file onto another descriptor of the program.
    pub fn dup2(&mut self, file: FdIndex, over: FdIndex) {
        if let (Some(file), Some(over)) = (self.fd(file), self.fd(over)) {
            self.dup2_fd(file, over);
        }
    }

    /// Duplicates `file` onto `over`, unless another owner has that descriptor.
    pub fn dup2_fd(&mut self, file: RawFd, over: RawFd) {
        let Some(new) = self.files.get(&file).map(|file| file.try_clone()) else { return };
        let Ok(new) = new else { return };
        self.add_fd(over);
        // It is open for a moment.
        self.touched.insert(new.as_raw_fd());
        if let Some(mut old) = self.files.remove(&over) {
            // Fails above a lowered limit.
            let outcome = dup3(&new, &mut old, DupFlags::CLOEXEC);
            self.files.insert(over, old);
            if outcome.is_ok() {
                self.mark_closed(over);
            }
        } else if let Ok(file) = fcntl_dupfd_cloexec(&new, over) {
            if file.as_raw_fd() == over {
                self.files.insert(over, file);
            } else {
                self.touched.insert(file.as_raw_fd());
            }
        }
    }

    /// Toggles the readiness of a file, and marks the files that epoll may report wrongly.
    pub fn toggle(&mut self, index: FdIndex) {
        let Some(file) = self.file(index) else { return };
        let affected = match toggle(file, self.files().map(AsFd::as_fd)) {
            Affected::None => return,
            Affected::File => self.registered_files(|other| is_same_file(file, other)),
            Affected::UnixDatagrams => self.registered_files(|other| is_unix_datagram(other)),
        };
        self.stale.extend(affected);
    }

    /// Marks the files whose readiness a forked child, which shares them, may have toggled.
    pub fn mark_toggled_by_child(&mut self) {
        let affected = self.registered_files(|file| is_tcp(file) || is_unix_datagram(file));
        self.stale.extend(affected);
    }

    fn registered_files(&self, is_included: impl Fn(&OwnedFd) -> bool) -> Vec<RawFd> {
        let files = self.files.iter().filter(|(fd, _)| self.registrations.contains_key(*fd));
        files.filter(|(_, file)| is_included(file)).map(|(fd, _)| *fd).collect()
    }

    fn mark_closed(&mut self, fd: RawFd) {
        self.has_closed = true;
        if self.registrations.contains_key(&fd) {
            self.stale.insert(fd);
        }
    }

    /// The set's instance on `fd` was closed, or replaced by `file`.
    pub fn mark_tampered(&mut self, fd: RawFd, file: Option<OwnedFd>) {
        self.is_tampered = true;
        self.add_fd(fd);
        self.mark_closed(fd);
        if let Some(file) = file {
            self.files.insert(fd, file);
        }
    }

    /// Gives up all files, after all descriptors were closed.
    pub fn forget_files(&mut self) {
        self.has_closed = true;
        for (_, file) in std::mem::take(&mut self.files) {
            let _ = file.into_raw_fd();
        }
    }

    pub fn close_files(&mut self) {
        self.files.clear();
    }

    pub fn register(&mut self, set: &Object, fd: RawFd, mask: PollFlags) {
        set.register(fd, mask).expect("the descriptor is not negative");
        self.touched.insert(fd);
        self.registrations.insert(fd, mask);
        self.stale.remove(&fd);
        self.max_registrations = self.max_registrations.max(self.registrations.len());
    }

    pub fn modify(&mut self, set: &Object, index: FdIndex, mask: PollFlags) {
        let Some(fd) = self.fd(index) else { return };
        self.touched.insert(fd);
        let is_registered = self.registrations.get_mut(&fd).map(|known| *known = mask).is_some();
        assert_eq!(set.modify(fd, mask).is_ok(), is_registered, "modify({fd})");
    }

    pub fn unregister(&mut self, set: &Object, fd: RawFd) {
        self.touched.insert(fd);
        self.stale.remove(&fd);
        let is_registered = self.registrations.shift_remove(&fd).is_some();
        assert_eq!(set.unregister(fd).is_ok(), is_registered, "unregister({fd})");
    }

    /// Registers a descriptor again with its current mask, if it is registered.
    pub fn register_again(&mut self, set: &Object, fd: RawFd) {
        if let Some(&mask) = self.registrations.get(&fd) {
            self.register(set, fd, mask);
        }
    }

    pub fn registrations(&self) -> Vec<(RawFd, PollFlags)> {
        self.registrations.iter().map(|(&fd, &mask)| (fd, mask)).collect()
    }

    pub fn clear_touched(&mut self) {
        self.touched.clear();
    }

    pub fn was_touched(&self, fd: RawFd) -> bool {
        self.touched.contains(&fd)
    }

    pub fn register_instance(&mut self, set: &Object, fd: RawFd, mask: PollFlags) {
        self.add_fd(fd);
        self.instances.insert(fd);
        self.register(set, fd, mask);
    }

    /// Whether a wait without a timeout is sure to end with these events. The readiness of the
    /// set's own instance is not sure: it changes during the wait.
    pub fn can_end_wait(&self, events: &[Event]) -> bool {
        let certain = self.certain(events, Some(Engine::Epoll));
        certain.iter().any(|event| !self.instances.contains(&event.fd))
    }

    /// How many checks of the audit are sure to cover all entries of the set once.
    pub fn checks_per_pass(&self) -> u64 {
        self.max_registrations as u64 + 1
    }

    /// Counts the registrations at the end of a wait, during which those that threads removed still
    /// had an entry.
    pub fn count_touched(&mut self) {
        let registrations = self.registrations.len() + self.touched.len();
        self.max_registrations = self.max_registrations.max(registrations);
    }

    pub fn may_be_stale(&self) -> bool {
        self.is_tampered || !self.stale.is_empty()
    }

    /// The set has no stale entries any more: it was rebuilt, or its audit has found all of them.
    pub fn clear_stale(&mut self) {
        self.stale.clear();
        self.is_tampered = false;
    }

    /// Whether there are more registrations than poll(2) takes.
    pub fn is_over_limit(&self) -> bool {
        self.registrations.len() > self.poll_limit
    }

    /// The events of poll(2) for all registrations.
    pub fn kernel_events(&self) -> Vec<Event> {
        self.kernel_events_of(&self.registrations())
    }

    pub fn kernel_events_of(&self, registrations: &[(RawFd, PollFlags)]) -> Vec<Event> {
        registrations.chunks(self.poll_limit).flat_map(kernel_poll).collect()
    }

    /// Whether the next wait on this engine must report this descriptor correctly.
    pub fn is_certain(&self, fd: RawFd, engine: Option<Engine>) -> bool {
        engine != Some(Engine::Epoll) || !self.is_tampered && !self.stale.contains(&fd)
    }

    /// Those of the events that the next wait on this engine must report correctly.
    pub fn certain(&self, events: &[Event], engine: Option<Engine>) -> Vec<Event> {
        let events = events.iter().copied();
        events.filter(|event| self.is_certain(event.fd, engine)).collect()
    }

    /// Checks events that may be outdated: they must be in the order of registration, at most one
    /// for each descriptor, and within its mask.
    pub fn assert_well_formed(&self, events: &[Event]) {
        let mut last = None;
        for event in events {
            let Some((place, _, &mask)) = self.registrations.get_full(&event.fd) else {
                panic!("{event:?} is not registered");
            };
            assert!(last < Some(place), "{event:?} is out of order in {events:?}");
            last = Some(place);
            assert_within_mask(*event, mask);
        }
    }
}

pub fn assert_within_mask(event: Event, mask: PollFlags) {
    let allowed = mask | PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let is_within = !event.revents.is_empty() && allowed.contains(event.revents);
    assert!(is_within, "{event:?} for the mask {mask}");
}

pub fn assert_open(file: &OwnedFd) {
    assert!(fcntl_getfd(file).is_ok(), "the set has closed {}, not its own", file.as_raw_fd());
}
