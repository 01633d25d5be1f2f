//! Compares epoll with poll(2) (A, D), and merges the results of both.

use std::mem::take;
use std::time::Duration;

use rustix::io::Errno;

use super::audit::Made;
use super::{EpollEngine, State, Trust, is, pollfd};
use crate::engine::Results;
use crate::registrations::VACANT;
use crate::sys::clock::now;
use crate::sys::epoll::parts;
use crate::{PollFlags, sys};

/// The results of poll(2) in this wait, and the entries that are compared next.
///
/// The results are kept until the wait is over. It may call the kernel several times: when there was
/// no room for all events, or the instance had to be replaced. poll(2) doesn't poll the same
/// descriptor again meanwhile (E).
pub struct Comparison {
    /// By key, of fallbacks and of compared entries.
    pub results: Vec<(u32, PollFlags)>,
    /// Keys of entries that the next wait compares, whatever is due.
    listed: Vec<u32>,
    /// Where comparing goes on. This wait has compared the keys from `start` up to it.
    next: usize,
    start: usize,
    /// What poll(2) is called with, and the keys.
    array: Vec<libc::pollfd>,
    keys: Vec<u32>,
}

/// Events at the end of a connection. The descriptor is likely to be closed soon.
pub const ENDS: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::RDHUP);
/// How often an entry is listed because of such an event.
const MAX_ENDS: u8 = 4;

/// How many listed entries one wait compares.
const MAX_LISTED: usize = 32;

/// Entries in one call of poll(2): at first, and at most.
const MIN_CALL: usize = 8;
const MAX_CALL: usize = 128;

impl Comparison {
    pub fn new() -> Self {
        Self {
            results: Vec::with_capacity(MAX_CALL),
            listed: Vec::with_capacity(MAX_LISTED),
            next: 0,
            start: 0,
            array: Vec::with_capacity(MAX_CALL),
            keys: Vec::with_capacity(MAX_CALL),
        }
    }
}

impl EpollEngine {
    /// Whether poll(2) has reported a descriptor in this wait.
    #[inline]
    pub fn has_results(&self) -> bool {
        !self.comparison.results.is_empty()
    }

    /// Whether this wait has compared entries, or has results of poll(2).
    #[inline]
    pub fn has_compared(&self) -> bool {
        self.comparison.start != self.comparison.next || self.has_results()
    }

    /// The entries that this wait has compared don't count: time has passed since.
    pub fn forget_compared(&mut self) {
        self.comparison.start = self.comparison.next;
    }

    /// Discards results that were not reported: their wait was abandoned.
    #[cold]
    pub fn discard_results(&mut self) {
        for (key, _) in self.comparison.results.drain(..) {
            self.entries[key as usize].has_result = false;
        }
    }

    /// Has poll(2) ignore the fallbacks that have a result in this wait (E).
    pub fn hide_fallbacks_with_results(&mut self) {
        for &(key, _) in &self.comparison.results {
            if let State::Fallback(place) = self.entries[key as usize].state {
                self.fallbacks[place as usize + 1].fd = VACANT;
            }
        }
    }

    pub fn restore_fallbacks_with_results(&mut self) {
        for &(key, _) in &self.comparison.results {
            let entry = &self.entries[key as usize];
            if let State::Fallback(place) = entry.state {
                self.fallbacks[place as usize + 1].fd = entry.fd;
            }
        }
    }

    /// Takes the results of the fallbacks.
    pub fn take_fallback_results(&mut self) {
        for (polled, &key) in self.fallbacks[1..].iter().zip(&self.fallback_keys) {
            if polled.revents != 0 {
                let revents = PollFlags::from_bits_retain(polled.revents as u16);
                self.comparison.results.push((key, revents));
            }
        }
    }

    /// The results of poll(2) in this wait, by slot, for the engine that takes over.
    pub fn kept_results(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        let results = self.comparison.results.iter();
        results.map(|&(key, revents)| (self.targets[key as usize].slot as usize, revents))
    }

    /// Compares the listed entries. Returns their number.
    pub fn compare_listed(&mut self) -> usize {
        while self.comparison.array.len() < MAX_LISTED {
            let Some(key) = self.comparison.listed.pop() else { break };
            if take(&mut self.entries[key as usize].is_compared_next) {
                self.add_to_call(key);
            }
        }
        if !self.comparison.listed.is_empty() {
            self.audit.expedite();
        }
        let count = self.comparison.array.len();
        self.call_poll();
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
        let mut count = MIN_CALL;
        loop {
            for _ in 0..count.min(most - made.checks) {
                if self.comparison.next >= self.entries.len() {
                    self.comparison.next = 0;
                    self.comparison.start = 0;
                }
                self.add_to_call(self.comparison.next as u32);
                self.comparison.next += 1;
                made.checks += 1;
            }
            self.call_poll();
            made.nanoseconds = now() - start;
            // The next ones are likely to take as long as these.
            let in_all = (made.checks as u64).saturating_mul(slice) / made.nanoseconds.max(1);
            let more = (in_all as usize).saturating_sub(made.checks);
            if made.checks == most || more < MIN_CALL {
                return made;
            }
            count = more.min(MAX_CALL);
        }
    }

    fn add_to_call(&mut self, key: u32) {
        let entry = &self.entries[key as usize];
        if entry.state == State::Installed && !entry.has_result {
            self.comparison.array.push(pollfd(entry.fd, entry.installed));
            self.comparison.keys.push(key);
        }
    }

    fn call_poll(&mut self) {
        let Comparison { array, keys, results, .. } = &mut self.comparison;
        if !array.is_empty() {
            poll_in_parts(array);
            for (polled, &key) in array.iter().zip(&*keys) {
                let entry = &mut self.entries[key as usize];
                if polled.revents != 0 {
                    entry.has_result = true;
                    results.push((key, PollFlags::from_bits_retain(polled.revents as u16)));
                } else if entry.trust == Trust::Doubted {
                    entry.trust = Trust::Full;
                }
            }
        }
        array.clear();
        keys.clear();
    }

    /// Has the next wait compare those of the first `ready` events that are of an ended connection.
    #[cold]
    pub fn compare_ended_next(&mut self, ready: usize, mut results: Results<'_>) {
        for place in 0..ready {
            let (revents, token) = parts(&self.buffer[place]);
            let key = token as u32;
            if !revents.intersects(ENDS) {
                continue;
            }
            let entry = &mut self.entries[key as usize];
            if !entry.installed.contains(PollFlags::RDHUP) {
                let slot = self.targets[key as usize].slot;
                results.set(slot as usize, revents - PollFlags::RDHUP);
            }
            if entry.ends < MAX_ENDS {
                entry.ends += 1;
                self.compare_next(key);
            }
        }
    }

    /// Lists an entry, so that the next wait compares it.
    fn compare_next(&mut self, key: u32) {
        let entry = &mut self.entries[key as usize];
        if !entry.is_compared_next {
            entry.is_compared_next = true;
            self.comparison.listed.push(key);
            self.audit.expedite();
        }
    }

    /// Adds the results of poll(2) to the first `ready` events of epoll, and compares the two. The
    /// caller has called epoll after poll(2), and the buffer has all of its events.
    #[cold]
    pub fn merge(&mut self, ready: usize, mut results: Results<'_>) {
        let compared = self.comparison.start..self.comparison.next;
        self.forget_compared();
        for place in 0..ready {
            let key = parts(&self.buffer[place]).1 as u32;
            let is_confirmed = take(&mut self.entries[key as usize].has_result);
            // poll(2) has just found it not ready: the number may mean another file (C).
            if !is_confirmed && compared.contains(&(key as usize)) {
                self.recheck_entry(key);
            }
        }
        let mut polled = take(&mut self.comparison.results);
        for (key, revents) in polled.drain(..) {
            let slot = self.targets[key as usize].slot;
            let entry = &mut self.entries[key as usize];
            let is_fallback = entry.state != State::Installed;
            let is_missed = take(&mut entry.has_result);
            let is_closed = revents == PollFlags::NVAL;
            if is_fallback || is_missed || is_closed {
                results.set(slot as usize, revents);
            }
            if is_fallback || is_missed {
                self.ready.push(slot);
            }
            if is_fallback {
                continue;
            }
            if is_closed {
                self.make_fallback(key);
            } else if is_missed {
                self.doubt(key);
            } else if entry.trust == Trust::Doubted {
                entry.trust = Trust::Full;
            }
        }
        self.comparison.results = polled;
    }

    /// poll(2) has reported an entry, and epoll has not. The second time in a row it becomes a
    /// fallback for good (D).
    fn doubt(&mut self, key: u32) {
        if !self.epoll.has_mark() {
            self.is_lost = true;
            self.audit.expedite();
            return;
        }
        let entry = &mut self.entries[key as usize];
        if entry.trust == Trust::Full {
            entry.trust = Trust::Doubted;
            self.compare_next(key);
            return;
        }
        let mut polled = [pollfd(entry.fd, entry.installed)];
        match self.epoll.delete(entry.fd) {
            Ok(()) => {
                // It is still the same file, and of a kind that may be polled twice.
                poll_in_parts(&mut polled);
                if polled[0].revents == 0 {
                    return self.reinstall(key);
                }
                entry.trust = Trust::None;
            }
            // C
            Err(error) if is(&error, Errno::NOENT) => return self.reinstall(key),
            Err(_) => {}
        }
        self.make_fallback(key);
    }
}

/// Calls poll(2) with a timeout of 0, also if there are more entries than the process may have
/// descriptors. An entry that can't be polled gets no `revents`.
fn poll_in_parts(entries: &mut [libc::pollfd]) {
    let result = sys::poll(entries, Some(Duration::ZERO));
    if result.is_err_and(|error| is(&error, Errno::INVAL)) && entries.len() > 1 {
        let (one, other) = entries.split_at_mut(entries.len() / 2);
        poll_in_parts(one);
        poll_in_parts(other);
    }
}
