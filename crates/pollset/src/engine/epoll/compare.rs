//! What poll(2) answers beside epoll: comparing the two, and giving the answers of both.

use std::mem::take;
use std::time::Duration;

use rustix::io::Errno;

use super::audit::Made;
use super::{EpollEngine, State, is, pollfd};
use crate::registrations::VACANT;
use crate::sys::epoll::{now, parts};
use crate::{PollFlags, sys};

/// Answers that poll(2) has given in this wait, and what to ask it about next.
///
/// They are kept until the wait is over, since it may ask several times: when there was no room for all
/// events, or the instance had to be replaced.
pub struct Comparison {
    /// By key: about entries aside, and about those that are compared.
    pub answers: Vec<(u32, PollFlags)>,
    /// Keys of the entries to be compared in the next wait.
    first: Vec<u32>,
    /// Where comparing goes on. The keys from `start` up to it have been compared in this wait.
    next: usize,
    start: usize,
    array: Vec<libc::pollfd>,
    keys: Vec<u32>,
}

/// Whether epoll is right about an entry.
#[derive(Clone, Copy, PartialEq)]
pub enum Trust {
    Full,
    /// poll(2) has found it ready, and epoll, asked after it, has not. That happens, too, if another
    /// thread reads from it between the two.
    Doubted,
    /// That happened twice in a row. It stays aside.
    None,
}

/// What is reported of a connection at its end. Its descriptor is likely to be closed soon.
pub const ENDS: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::RDHUP);
/// How often a descriptor at its end is compared at the next wait, at most.
const MOST_ENDS: u8 = 4;

/// How many of the entries to be compared first are compared in one wait, at most.
const MOST_FIRST: usize = 32;

/// Entries that poll(2) is asked about at a time, at first and at most.
const FEWEST: usize = 8;
const MOST: usize = 128;

impl Comparison {
    pub fn new() -> Self {
        Self {
            answers: Vec::with_capacity(MOST),
            first: Vec::with_capacity(MOST_FIRST),
            next: 0,
            start: 0,
            array: Vec::with_capacity(MOST),
            keys: Vec::with_capacity(MOST),
        }
    }
}

impl EpollEngine {
    /// poll(2) has answered something in this wait.
    #[inline]
    pub fn has_answers(&self) -> bool {
        !self.comparison.answers.is_empty()
    }

    /// Entries have been compared in this wait, or poll(2) has answered something.
    #[inline]
    pub fn has_compared(&self) -> bool {
        self.comparison.start != self.comparison.next || self.has_answers()
    }

    /// What was compared in this wait is no judge of what epoll reports.
    pub fn forget_compared(&mut self) {
        self.comparison.start = self.comparison.next;
    }

    /// Drops answers that were not given: the wait that they are of was abandoned.
    #[cold]
    pub fn forget_answers(&mut self) {
        for (key, _) in self.comparison.answers.drain(..) {
            self.entries[key as usize].has_answer = false;
        }
    }

    /// Has poll(2) pass over what is aside and has answered in this wait: asked again, it may answer
    /// something else.
    pub fn hide_answered(&mut self) {
        for &(key, _) in &self.comparison.answers {
            if let State::Aside(place) = self.entries[key as usize].state {
                self.aside[place as usize + 1].fd = VACANT;
            }
        }
    }

    pub fn show_answered(&mut self) {
        for &(key, _) in &self.comparison.answers {
            let entry = &self.entries[key as usize];
            if let State::Aside(place) = entry.state {
                self.aside[place as usize + 1].fd = entry.fd;
            }
        }
    }

    /// Takes the answers of what is aside.
    pub fn take_answers_aside(&mut self) {
        for (asked, &key) in self.aside[1..].iter().zip(&self.aside_keys) {
            if asked.revents != 0 {
                let revents = PollFlags::from_bits_retain(asked.revents as u16);
                self.comparison.answers.push((key, revents));
            }
        }
    }

    /// The answers of poll(2) in this wait, by slot, for an engine that goes on in place of this one.
    pub fn kept_answers(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        let answers = self.comparison.answers.iter();
        answers.map(|&(key, revents)| (self.watched[key as usize].slot as usize, revents))
    }

    /// Compares what is to be compared in this wait in any case. Returns how many.
    pub fn compare_first(&mut self) -> usize {
        while self.comparison.array.len() < MOST_FIRST
            && let Some(key) = self.comparison.first.pop()
        {
            if take(&mut self.entries[key as usize].is_first) {
                self.enlist(key);
            }
        }
        if !self.comparison.first.is_empty() {
            self.audit.hasten();
        }
        let count = self.comparison.array.len();
        self.ask_enlisted();
        count
    }

    /// Compares the next `most` entries, or as many as `slice` nanoseconds allow.
    pub fn compare(&mut self, most: usize, slice: u64) -> Made {
        self.forget_compared();
        let mut made = Made::default();
        if most == 0 {
            return made;
        }
        let start = now();
        let mut some = FEWEST;
        loop {
            for _ in 0..some.min(most - made.checks) {
                if self.comparison.next >= self.entries.len() {
                    self.comparison.next = 0;
                    self.comparison.start = 0;
                }
                self.enlist(self.comparison.next as u32);
                self.comparison.next += 1;
                made.checks += 1;
            }
            self.ask_enlisted();
            made.nanoseconds = now() - start;
            // The next ones are likely to take as long as these.
            let in_all = (made.checks as u64).saturating_mul(slice) / made.nanoseconds.max(1);
            let more = (in_all as usize).saturating_sub(made.checks);
            if made.checks == most || more < FEWEST {
                return made;
            }
            some = more.min(MOST);
        }
    }

    fn enlist(&mut self, key: u32) {
        let entry = &self.entries[key as usize];
        if entry.state == State::Watched && !entry.has_answer {
            self.comparison.array.push(pollfd(entry.fd, entry.told));
            self.comparison.keys.push(key);
        }
    }

    fn ask_enlisted(&mut self) {
        let Comparison { array, keys, answers, .. } = &mut self.comparison;
        if !array.is_empty() {
            poll_in_parts(array);
            for (asked, &key) in array.iter().zip(&*keys) {
                let entry = &mut self.entries[key as usize];
                if asked.revents != 0 {
                    entry.has_answer = true;
                    answers.push((key, PollFlags::from_bits_retain(asked.revents as u16)));
                } else if entry.trust == Trust::Doubted {
                    entry.trust = Trust::Full;
                }
            }
        }
        array.clear();
        keys.clear();
    }

    /// Of the first `ready` events, those at their end are compared in the next wait.
    #[cold]
    pub fn compare_ended(&mut self, ready: usize, answer: &mut impl FnMut(usize, PollFlags)) {
        for place in 0..ready {
            let (revents, token) = parts(&self.buffer[place]);
            let key = token as u32;
            if !revents.intersects(ENDS) {
                continue;
            }
            let entry = &mut self.entries[key as usize];
            if !entry.told.contains(PollFlags::RDHUP) {
                answer(self.watched[key as usize].slot as usize, revents - PollFlags::RDHUP);
            }
            if entry.ends < MOST_ENDS {
                entry.ends += 1;
                self.compare_next(key);
            }
        }
    }

    /// Has an entry compared in the next wait.
    fn compare_next(&mut self, key: u32) {
        let entry = &mut self.entries[key as usize];
        if !entry.is_first {
            entry.is_first = true;
            self.comparison.first.push(key);
            self.audit.hasten();
        }
    }

    /// Adds the answers of poll(2) to the first `ready` events of epoll, and judges epoll by them. It
    /// was asked after poll(2), and has given all that it has.
    #[cold]
    pub fn merge(&mut self, ready: usize, mut answer: impl FnMut(usize, PollFlags)) {
        let compared = self.comparison.start..self.comparison.next;
        self.forget_compared();
        for place in 0..ready {
            let key = parts(&self.buffer[place]).1 as u32;
            let is_confirmed = take(&mut self.entries[key as usize].has_answer);
            // poll(2) has just found it not ready: perhaps the number means another file.
            if !is_confirmed && compared.contains(&(key as usize)) {
                self.recheck_entry(key);
            }
        }
        let mut answers = take(&mut self.comparison.answers);
        for (key, revents) in answers.drain(..) {
            let slot = self.watched[key as usize].slot;
            let entry = &mut self.entries[key as usize];
            let is_aside = entry.state != State::Watched;
            let is_missed = take(&mut entry.has_answer);
            let is_closed = revents == PollFlags::NVAL;
            if is_aside || is_missed || is_closed {
                answer(slot as usize, revents);
            }
            if is_aside || is_missed {
                self.found.push(slot);
            }
            if is_aside {
                continue;
            }
            if is_closed {
                self.put_aside(key);
            } else if is_missed {
                self.doubt(key);
            } else if entry.trust == Trust::Doubted {
                entry.trust = Trust::Full;
            }
        }
        self.comparison.answers = answers;
    }

    /// poll(2) has found an entry ready, and epoll has not. The second time in a row it is left to
    /// poll(2) for good.
    fn doubt(&mut self, key: u32) {
        if !self.epoll.is_there() {
            // The next wait gives it up.
            self.disown();
            return;
        }
        let entry = &mut self.entries[key as usize];
        if entry.trust == Trust::Full {
            entry.trust = Trust::Doubted;
            self.compare_next(key);
            return;
        }
        let mut asked = [pollfd(entry.fd, entry.told)];
        match self.epoll.delete(entry.fd) {
            Ok(()) => {
                // It is the same file still, of a kind that may be asked twice.
                poll_in_parts(&mut asked);
                if asked[0].revents == 0 {
                    return self.renew(key);
                }
                entry.trust = Trust::None;
            }
            // The number means another file.
            Err(error) if is(&error, Errno::NOENT) => return self.renew(key),
            Err(_) => {}
        }
        self.put_aside(key);
    }
}

/// Asks without waiting, even if a process may have fewer descriptors than there are entries. What can't
/// be asked has no `revents`, as what isn't ready.
fn poll_in_parts(entries: &mut [libc::pollfd]) {
    if let Err(error) = sys::poll(entries, Some(Duration::ZERO))
        && is(&error, Errno::INVAL)
        && entries.len() > 1
    {
        let (one, other) = entries.split_at_mut(entries.len() / 2);
        poll_in_parts(one);
        poll_in_parts(other);
    }
}
