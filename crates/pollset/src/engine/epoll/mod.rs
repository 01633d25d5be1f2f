mod ask;
mod audit;
mod check;
mod compare;
mod found;
mod serials;

use std::io;
use std::mem::take;
use std::os::fd::RawFd;

use rustix::io::Errno;

use ask::{NO_EVENT, ROOM};
use audit::Audit;
use compare::{Comparison, Trust};
use found::FoundSlots;
use serials::Serials;

use crate::PollFlags;
use crate::registrations::{NO_KEY, Slot, VACANT};
use crate::stats::Counters;
use crate::sys::epoll::{Epoll, Token};
use crate::sys::kinds::epoll_is_right_about;
use crate::sys::process_generation;

/// The epoll engine: level-triggered epoll for the files that epoll is known to be right about, and an
/// array for the rest.
///
/// Its cost grows with the number of descriptors that are ready. What is not known to be right on
/// epoll (regular files, terminals, perf events, devices, numbers that are not open) is *aside*: in an
/// array of `pollfd` that is asked in the same wait.
///
/// epoll goes by files, poll(2) by numbers; and a file that epoll is right about can still be made
/// ready in a way that wakes no waiter. Where the two differ, that is found
/// - by *comparing*: poll(2) is asked about some entries, with timeout 0. Its answers are given. A
///   descriptor that epoll misses twice is put aside for good;
/// - by *re-checking*: `EPOLL_CTL_MOD` with what should be there already. It succeeds if it is;
///   `EBADF` says that the number is closed, `ENOENT` that it means another file now;
/// - by *phantoms*: events of entries that can't be removed any more, because their number is gone
///   while their file lives on (in a forked child, say). The instance is replaced then.
pub struct EpollEngine {
    epoll: Epoll,
    /// The process that opened the instance, the only one that may close or change it.
    process: u32,
    /// By key.
    entries: Vec<Entry>,
    /// By key: all that an event needs.
    watched: Vec<Watched>,
    free: Vec<u32>,
    /// Keys of the entries to be removed.
    departed: Vec<u32>,
    /// Keys of the entries that the kernel may have to be told of.
    changed: Vec<u32>,
    /// The instance itself, and what is aside.
    aside: Vec<libc::pollfd>,
    /// The keys of `aside[1..]`.
    aside_keys: Vec<u32>,
    /// As long as there are events asked for at once.
    buffer: Vec<libc::epoll_event>,
    found: FoundSlots,
    serials: Serials,
    audit: Audit,
    comparison: Comparison,
    next_rechecked: usize,
}

#[derive(Clone, Copy)]
struct Watched {
    slot: u32,
    /// Tells this addition to the instance from others under the same key. 0: none.
    serial: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    fd: RawFd,
    /// The mask that the kernel has.
    told: PollFlags,
    wanted: PollFlags,
    state: State,
    /// In `changed`.
    is_listed: bool,
    /// Registered anew: the number may mean another file.
    is_news: bool,
    /// What comparing has shown of it.
    trust: Trust,
    /// poll(2) has answered about it in this wait, and epoll not yet.
    has_answer: bool,
    /// To be compared in the next wait.
    is_first: bool,
    /// How often it was to be, because its connection was at its end.
    ends: u8,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The key is free.
    Free,
    /// The kernel doesn't know it yet.
    New,
    Watched,
    /// At this place in `aside_keys`.
    Aside(u32),
}

impl EpollEngine {
    pub fn new(taken: impl Fn(RawFd) -> bool, audits_at_leisure: bool) -> io::Result<Self> {
        let epoll = Epoll::new(taken)?;
        Ok(Self {
            aside: vec![pollfd(epoll.number(), PollFlags::IN)],
            epoll,
            process: process_generation(),
            entries: Vec::new(),
            watched: Vec::new(),
            free: Vec::new(),
            departed: Vec::new(),
            changed: Vec::new(),
            aside_keys: Vec::new(),
            buffer: vec![NO_EVENT; ROOM],
            found: FoundSlots::new(),
            serials: Serials::new(),
            audit: Audit::new(audits_at_leisure),
            comparison: Comparison::new(),
            next_rechecked: 0,
        })
    }

    /// Whether another process than that of this `generation` has opened the instance.
    #[inline]
    pub fn is_inherited(&self, generation: u32) -> bool {
        self.process != generation && self.process != NOBODY
    }

    /// How many entries only poll(2) can ask.
    pub fn aside(&self) -> usize {
        self.aside_keys.len()
    }

    /// Takes over what a slot says. The kernel is told at the next [`apply`](Self::apply).
    pub fn set(&mut self, number: usize, slot: &mut Slot) {
        if slot.fd == VACANT {
            return;
        }
        let is_news = take(&mut slot.is_news);
        if slot.key == NO_KEY {
            slot.key = self.new_entry(slot.fd);
        }
        self.watched[slot.key as usize].slot = number as u32;
        let entry = &mut self.entries[slot.key as usize];
        entry.wanted = slot.events & PollFlags::all();
        entry.is_news |= is_news;
        if !entry.is_listed {
            entry.is_listed = true;
            self.changed.push(slot.key);
        }
    }

    fn new_entry(&mut self, fd: RawFd) -> u32 {
        let entry = Entry {
            fd,
            told: PollFlags::empty(),
            wanted: PollFlags::empty(),
            state: State::New,
            is_listed: false,
            is_news: false,
            trust: Trust::Full,
            has_answer: false,
            is_first: false,
            ends: 0,
        };
        match self.free.pop() {
            Some(key) => {
                let was_listed = self.entries[key as usize].is_listed;
                self.entries[key as usize] = Entry { is_listed: was_listed, ..entry };
                key
            }
            None => {
                self.entries.push(entry);
                self.watched.push(Watched { slot: 0, serial: 0 });
                self.entries.len() as u32 - 1
            }
        }
    }

    /// Where to put the keys of what was unregistered, for
    /// [`remove_departed`](Self::remove_departed). Empty.
    pub fn departed(&mut self) -> &mut Vec<u32> {
        &mut self.departed
    }

    /// Forgets the entries whose descriptors were unregistered, and has the kernel forget them.
    /// False: the instance is lost, somebody else's file has its number.
    #[inline]
    pub fn remove_departed(&mut self) -> bool {
        while let Some(key) = self.departed.pop() {
            self.remove(key);
        }
        self.process != NOBODY
    }

    fn remove(&mut self, key: u32) {
        let entry = &mut self.entries[key as usize];
        match entry.state {
            State::Free => return,
            State::New => {}
            State::Watched if self.process == NOBODY => {}
            State::Watched => {
                let fd = entry.fd;
                let _ = self.delete(fd);
            }
            State::Aside(_) => self.leave_aside(key),
        }
        self.entries[key as usize].state = State::Free;
        self.watched[key as usize].serial = 0;
        self.free.push(key);
    }

    /// Tells the kernel of all changes. An error means that it has no room for all entries, or that
    /// somebody else's file has the instance's number.
    #[inline]
    pub fn apply(&mut self, counters: &Counters) -> io::Result<()> {
        if self.serials.are_used_up() {
            self.replace(counters)
        } else if self.changed.is_empty() {
            Ok(())
        } else {
            self.apply_changed(counters)
        }
    }

    fn apply_changed(&mut self, counters: &Counters) -> io::Result<()> {
        for place in 0..self.changed.len() {
            let key = self.changed[place];
            let entry = &mut self.entries[key as usize];
            entry.is_listed = false;
            let is_news = take(&mut entry.is_news);
            if is_news {
                entry.trust = Trust::Full;
                entry.ends = 0;
            }
            match entry.state {
                State::Free => continue,
                State::New => self.add(key, false)?,
                _ if !is_news && entry.wanted == entry.told => continue,
                State::Watched => self.modify(key)?,
                State::Aside(_) => {
                    self.leave_aside(key);
                    self.add(key, false)?;
                }
            }
            counters.changes_applied.add(1);
        }
        self.changed.clear();
        Ok(())
    }

    /// Has the kernel watch an entry, or puts it aside. It is known to be of a kind that epoll is right
    /// about, or has to be looked at.
    fn add(&mut self, key: u32, is_known: bool) -> io::Result<()> {
        let Entry { fd, wanted, trust, .. } = self.entries[key as usize];
        // Adding asks the file, and for some that consumes the answer.
        if is_deaf(wanted) || trust == Trust::None || !(is_known || epoll_is_right_about(fd)) {
            self.put_aside(key);
            return Ok(());
        }
        let serial = self.serials.give();
        let token = token(key, serial);
        let outcome = match self.epoll.add(fd, mask(wanted), token) {
            // Somebody else's file has the instance's number.
            Err(error) if !self.epoll.is_there() => return Err(error),
            // What an earlier entry of this file and number has left: it is taken over.
            Err(error) if is(&error, Errno::EXIST) => self.epoll.modify(fd, mask(wanted), token),
            outcome => outcome,
        };
        match outcome {
            Ok(()) => {
                self.watched[key as usize].serial = serial;
                let entry = &mut self.entries[key as usize];
                entry.told = wanted;
                entry.state = State::Watched;
            }
            Err(error) if is(&error, Errno::NOSPC) || is(&error, Errno::NOMEM) => {
                return Err(error);
            }
            // PERM: not a file that can be waited for; BADF: not open; LOOP, INVAL: an epoll
            // descriptor that can't be nested.
            Err(_) => self.put_aside(key),
        }
        Ok(())
    }

    fn modify(&mut self, key: u32) -> io::Result<()> {
        let Entry { fd, wanted, .. } = self.entries[key as usize];
        let serial = self.watched[key as usize].serial;
        if is_deaf(wanted) {
            self.delete(fd)?;
            self.put_aside(key);
            return Ok(());
        }
        match self.epoll.modify(fd, mask(wanted), token(key, serial)) {
            Ok(()) => self.entries[key as usize].told = wanted,
            Err(error) if !self.epoll.is_there() => return Err(error),
            // The number means another file now, or none.
            Err(_) => {
                self.entries[key as usize].state = State::New;
                self.add(key, false)?;
            }
        }
        Ok(())
    }

    /// The number of an entry is closed, or means another file.
    fn renew(&mut self, key: u32) {
        self.watched[key as usize].serial = 0;
        let entry = &mut self.entries[key as usize];
        entry.state = State::New;
        entry.trust = Trust::Full;
        entry.ends = 0;
        if self.add(key, false).is_err() {
            self.put_aside(key);
        }
    }

    /// Puts a new instance in the place of this one, with the same entries.
    pub fn replace(&mut self, counters: &Counters) -> io::Result<()> {
        let is_taken = |fd| self.entries.iter().any(|e| e.state != State::Free && e.fd == fd);
        let new = Epoll::new(is_taken)?;
        self.aside[0] = pollfd(new.number(), PollFlags::IN);
        let old = std::mem::replace(&mut self.epoll, new);
        self.serials = Serials::new();
        counters.replaced.add(1);
        let outcome = self.add_entries_of(&old);
        old.close();
        outcome?;
        self.apply_changed(counters)
    }

    /// What was on the `old` instance, and means the same file, needs no look.
    fn add_entries_of(&mut self, old: &Epoll) -> io::Result<()> {
        for key in 0..self.entries.len() as u32 {
            let Entry { fd, state, .. } = self.entries[key as usize];
            if state == State::Watched {
                self.watched[key as usize].serial = 0;
                let is_known = old.delete(fd).is_ok();
                self.entries[key as usize].state = State::New;
                self.add(key, is_known)?;
            }
        }
        Ok(())
    }

    /// An error means that somebody else's file has the instance's number. Otherwise the number may
    /// be closed or reused by now, then there is nothing to delete; if the file lives on, its events
    /// will show that.
    fn delete(&mut self, fd: RawFd) -> io::Result<()> {
        match self.epoll.delete(fd) {
            Err(error) if !self.epoll.is_there() => {
                self.disown();
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Leaves the instance to whoever has its number now.
    fn disown(&mut self) {
        self.process = NOBODY;
    }

    /// How many entries the kernel has, once it has been told of all.
    fn watched(&self) -> usize {
        self.entries.len() - self.free.len() - self.aside_keys.len()
    }

    fn put_aside(&mut self, key: u32) {
        self.watched[key as usize].serial = 0;
        let entry = &mut self.entries[key as usize];
        entry.state = State::Aside(self.aside_keys.len() as u32);
        entry.told = entry.wanted;
        self.aside_keys.push(key);
        self.aside.push(pollfd(entry.fd, entry.wanted));
    }

    fn leave_aside(&mut self, key: u32) {
        let State::Aside(place) = self.entries[key as usize].state else {
            return;
        };
        self.aside_keys.swap_remove(place as usize);
        self.aside.swap_remove(place as usize + 1);
        if let Some(&moved) = self.aside_keys.get(place as usize) {
            self.entries[moved as usize].state = State::Aside(place);
        }
    }
}

impl Drop for EpollEngine {
    fn drop(&mut self) {
        if self.process == process_generation() {
            self.epoll.close();
        }
    }
}

/// The generation of no process.
const NOBODY: u32 = 0;

/// Whether epoll might sleep through what this mask waits for: many files wake their waiters with
/// `IN` or `OUT` alone, and epoll looks at a file only if it is woken with what was asked for.
fn is_deaf(mask: PollFlags) -> bool {
    let reading = PollFlags::RDNORM | PollFlags::RDBAND | PollFlags::MSG | PollFlags::PRI;
    let writing = PollFlags::WRNORM | PollFlags::WRBAND;
    mask.intersects(reading) && !mask.contains(PollFlags::IN)
        || mask.intersects(writing) && !mask.contains(PollFlags::OUT)
}

/// What the kernel is asked for: also the end of a connection, which comes with `IN`, so that its
/// number is checked early. It is not reported to those who haven't asked for it.
fn mask(wanted: PollFlags) -> PollFlags {
    if wanted.contains(PollFlags::IN) { wanted | PollFlags::RDHUP } else { wanted }
}

fn token(key: u32, serial: u32) -> Token {
    u64::from(serial) << 32 | u64::from(key)
}

fn pollfd(fd: RawFd, events: PollFlags) -> libc::pollfd {
    libc::pollfd { fd, events: events.bits() as i16, revents: 0 }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(error) == Some(errno)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::registrations::Registrations;

    #[test]
    #[cfg_attr(miri, ignore = "it makes system calls")]
    fn serial_numbers_start_over_before_they_run_out() {
        let (reader, _writer) = io::pipe().unwrap();
        let mut registrations = Registrations::new();
        registrations.register(reader.as_raw_fd(), PollFlags::IN);
        let mut engine = EpollEngine::new(|_| false, false).unwrap();
        engine.serials = Serials::with_one_left();
        registrations.assign_keys(|number, slot| engine.set(number, slot));
        let counters = Counters::new();
        for replaced in [0, 1, 1, 1] {
            engine.apply(&counters).unwrap();
            assert_eq!(counters.snapshot().replaced, replaced);
        }
    }
}
