mod audit;
mod compare;
mod found;
mod serials;

use std::io;
use std::mem::take;
use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::Errno;

use audit::Audit;
use compare::{Comparison, ENDS, Trust};
use found::FoundSlots;
use serials::Serials;

use super::Answer;
use crate::PollFlags;
use crate::registrations::{NO_KEY, Slot, VACANT};
use crate::stats::Counters;
use crate::sys::epoll::{Epoll, Token, coarse_now, now, parts};
use crate::sys::kinds::epoll_is_right_about;
use crate::sys::{self, process_generation};

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
            audit: Audit::new(coarse_now(), audits_at_leisure),
            comparison: Comparison::new(),
            next_rechecked: 0,
        })
    }

    /// Whether the process of this `generation` may use it; a forked child may not.
    #[inline]
    pub fn is_ours(&self, generation: u32) -> bool {
        self.process == generation
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
                State::New => self.add(key)?,
                _ if !is_news && entry.wanted == entry.told => continue,
                State::Watched => self.modify(key)?,
                State::Aside(_) => {
                    self.leave_aside(key);
                    self.add(key)?;
                }
            }
            counters.changes_applied.add(1);
        }
        self.changed.clear();
        Ok(())
    }

    fn add(&mut self, key: u32) -> io::Result<()> {
        let Entry { fd, wanted, trust, .. } = self.entries[key as usize];
        // Adding asks the file, and for some that consumes the answer.
        if is_deaf(wanted) || trust == Trust::None || !epoll_is_right_about(fd) {
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
                self.add(key)?;
            }
        }
        Ok(())
    }

    /// Asks, and waits until something is ready or the timeout is over (`None`: for ever). Tells
    /// `answer` what it finds out about slots, all of them below `slots`.
    #[inline]
    pub fn ask(
        &mut self,
        timeout: Option<Duration>,
        slots: usize,
        answer: impl FnMut(usize, PollFlags),
    ) -> io::Result<Answer> {
        self.found.clear();
        if self.aside_keys.is_empty()
            && self.comparison.answers.is_empty()
            && let Some(ms) = whole_milliseconds(timeout)
        {
            return self.ask_epoll::<false>(ms, slots, answer);
        }
        self.ask_both(timeout, slots, answer)
    }

    /// Asks poll(2) about what is aside, and epoll about the rest.
    fn ask_both(
        &mut self,
        timeout: Option<Duration>,
        slots: usize,
        answer: impl FnMut(usize, PollFlags),
    ) -> io::Result<Answer> {
        let has_answers = !self.comparison.answers.is_empty();
        let timeout = if has_answers { Some(Duration::ZERO) } else { timeout };
        // The kernel takes as many entries as a process may have descriptors; one more, that of an
        // instance that watches nothing, may be too many.
        let first = if self.watched() == 0 { 1 } else { 0 };
        self.aside[0].revents = 0;
        self.hide_answered();
        let outcome = sys::poll(&mut self.aside[first..], timeout);
        self.show_answered();
        match outcome {
            Ok(_) => self.take_answers_aside(),
            // None of them was ready. But there are answers to give.
            Err(error) if has_answers && is(&error, Errno::INTR) => {
                self.aside[0].revents = PollFlags::IN.bits() as i16;
            }
            Err(error) => {
                self.forget_answers();
                return Err(error);
            }
        }
        match PollFlags::from_bits_retain(self.aside[0].revents as u16) {
            PollFlags::IN => self.ask_epoll::<true>(0, slots, answer),
            revents if revents.is_empty() => {
                self.merge(0, answer);
                Ok(self.ready(slots))
            }
            _ => {
                self.disown();
                Ok(Answer::Lost)
            }
        }
    }

    #[inline]
    fn ask_epoll<const HAS_ANSWERS: bool>(
        &mut self,
        ms: i32,
        slots: usize,
        mut answer: impl FnMut(usize, PollFlags),
    ) -> io::Result<Answer> {
        let ready = match self.epoll.wait(&mut self.buffer, ms) {
            Ok(ready) => ready,
            Err(error) => return self.fail(error),
        };
        let room = self.buffer.len();
        if ready == room && room <= self.entries.len() {
            // There may be more. Asked again, it starts with those that it has not given yet.
            self.buffer.resize(self.entries.len() + 1, NO_EVENT);
            self.audit.hasten();
            return Ok(Answer::More);
        }
        let mut all = PollFlags::empty();
        for (event, place) in self.buffer[..ready].iter().zip(self.found.add(ready)) {
            let (revents, token) = parts(event);
            let (key, serial) = (token as u32, (token >> 32) as u32);
            match self.watched.get(key as usize) {
                Some(watched) if watched.serial == serial && serial != 0 => {
                    answer(watched.slot as usize, revents);
                    *place = watched.slot;
                    all |= revents;
                }
                _ => return Ok(self.is_surprised(key, serial)),
            }
        }
        if all.intersects(ENDS) {
            self.compare_ended(ready, &mut answer);
        }
        if HAS_ANSWERS {
            self.merge(ready, answer);
        }
        if ready < room / 4 && room > ROOM {
            self.buffer.truncate((room / 2).max(ROOM));
        }
        Ok(self.ready(slots))
    }

    #[cold]
    fn fail(&mut self, error: io::Error) -> io::Result<Answer> {
        if is(&error, Errno::INTR) {
            return Err(error);
        }
        // Not an epoll instance any more; else the system has come to forbid it.
        if is(&error, Errno::BADF) || is(&error, Errno::INVAL) {
            self.disown();
        }
        Ok(Answer::Lost)
    }

    /// By an event that fits no entry.
    #[cold]
    fn is_surprised(&mut self, key: u32, serial: u32) -> Answer {
        if (key as usize) < self.watched.len() && self.serials.contains(serial) {
            return Answer::Phantom;
        }
        // Somebody else's instance has taken the number.
        self.disown();
        Answer::Lost
    }

    #[inline]
    fn ready(&mut self, slots: usize) -> Answer {
        self.found.put_in_order(slots);
        Answer::Ready(self.found.len())
    }

    /// How many answers the next wait gives, at most, before it asks for a second one.
    pub fn answers_at_once(&self) -> usize {
        self.aside.len() + self.buffer.len()
    }

    /// The slots that something was found about and that were not taken, in order.
    #[inline]
    pub fn take_slots(&mut self) -> &[u32] {
        self.found.take_all()
    }

    /// The next slot of those that something was found about, in order. Each is given once.
    #[inline]
    pub fn take_slot(&mut self) -> Option<usize> {
        self.found.take_next()
    }

    /// Puts a new instance in the place of this one, with the same entries.
    pub fn replace(&mut self, counters: &Counters) -> io::Result<()> {
        let is_taken = |fd| self.entries.iter().any(|e| e.state != State::Free && e.fd == fd);
        let new = Epoll::new(is_taken)?;
        self.aside[0] = pollfd(new.number(), PollFlags::IN);
        std::mem::replace(&mut self.epoll, new).close();
        self.serials = Serials::new();
        counters.replaced.add(1);
        for (key, entry) in self.entries.iter_mut().enumerate() {
            if entry.state == State::Watched {
                entry.state = State::New;
                self.watched[key].serial = 0;
                if !entry.is_listed {
                    entry.is_listed = true;
                    self.changed.push(key as u32);
                }
            }
        }
        self.apply_changed(counters)
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

    /// Makes the checks that are due. False: the instance is lost, somebody else's file has its
    /// number.
    #[inline]
    #[must_use]
    pub fn audit(&mut self, is_blocked: bool, counters: &Counters) -> bool {
        let now = coarse_now();
        !self.audit.is_due(now, is_blocked) || self.check_due(now, is_blocked, counters)
    }

    #[cold]
    fn check_due(&mut self, now: u64, is_blocked: bool, counters: &Counters) -> bool {
        if !is_blocked {
            self.forget_answers();
        }
        let len = self.entries.len();
        let due = self.audit.due(now, len, is_blocked);
        if due.recheck > 0 && !self.epoll.is_there() {
            self.disown();
            return false;
        }
        self.compare_first();
        if due.compare > 0 {
            let (checks, nanoseconds) = self.compare(due.compare, due.slice);
            self.audit.has_compared(checks, nanoseconds, len, is_blocked);
            counters.compared.add(checks as u64);
        }
        if due.recheck > 0 {
            let (checks, nanoseconds) = self.recheck(due.recheck, due.slice);
            self.audit.has_rechecked(checks, nanoseconds, len, is_blocked);
            counters.audited.add(checks as u64);
        }
        true
    }

    /// Re-checks so many entries, or as many as the time allows, in nanoseconds. Returns how many,
    /// and how long it took.
    fn recheck(&mut self, checks: usize, slice: u64) -> (usize, u64) {
        let start = now();
        for done in 1..=checks {
            if self.next_rechecked >= self.entries.len() {
                self.next_rechecked = 0;
            }
            self.recheck_entry(self.next_rechecked as u32);
            self.next_rechecked += 1;
            if done % CLOCK == 0 || done == checks {
                let taken = now() - start;
                // The next ones are likely to take as long as these.
                if done == checks || taken + taken * CLOCK as u64 / done as u64 > slice {
                    return (done, taken);
                }
            }
        }
        (0, 0)
    }

    fn recheck_entry(&mut self, key: u32) {
        let Entry { fd, told, state, .. } = self.entries[key as usize];
        let serial = self.watched[key as usize].serial;
        if state == State::Watched && self.epoll.modify(fd, mask(told), token(key, serial)).is_err()
        {
            self.renew(key);
        }
    }

    /// The number of an entry is closed, or means another file.
    fn renew(&mut self, key: u32) {
        self.watched[key as usize].serial = 0;
        self.entries[key as usize].state = State::New;
        if self.add(key).is_err() {
            self.put_aside(key);
        }
    }

    /// How long to block before the next [`audit`](Self::audit).
    pub fn pause(&self) -> Option<Duration> {
        (self.watched() > 0).then(|| {
            let pause = self.audit.pause(self.entries.len());
            Duration::from_millis(pause.as_millis() as u64)
        })
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
        if self.is_ours(process_generation()) {
            self.epoll.close();
        }
    }
}

/// The generation of no process.
const NOBODY: u32 = 0;

const NO_EVENT: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };

/// Events that are asked for at once, unless there have been more lately.
const ROOM: usize = 64;

/// Re-checks between two looks at the clock.
const CLOCK: usize = 2;

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

/// -1 for ever.
fn whole_milliseconds(timeout: Option<Duration>) -> Option<i32> {
    match timeout {
        None => Some(-1),
        Some(Duration::ZERO) => Some(0),
        Some(timeout) if timeout.subsec_nanos() % 1_000_000 == 0 => {
            timeout.as_millis().try_into().ok()
        }
        Some(_) => None,
    }
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
