//! Whose turn it is, when there is not enough room for the results of a wait.
//!
//! In a *round*, each descriptor that is ready has one turn. The set marks all of them at the beginning, and each
//! loses its mark when it has its turn. One that is registered during a round has no mark: it waits for the next
//! round, and so keeps none of the others from its turn.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use libc::pollfd;
use pollset::PollSet;

use crate::once::is_reported_once;

/// The results of a wait, for which there is not enough room.
pub struct Turns<'a> {
    set: &'a PollSet,
    results: &'a mut [MaybeUninit<pollfd>],
    /// Results of this round: the first ones.
    count: usize,
    /// Those that had their turn in this round already: the last ones, in reverse order. They have the places that
    /// are left, and are the first ones of the next round.
    repeated: usize,
    /// A descriptor was denied its turn in this round.
    is_displaced: bool,
}

impl<'a> Turns<'a> {
    pub fn new(set: &'a PollSet, results: &'a mut [MaybeUninit<pollfd>]) -> Self {
        Self { set, results, count: 0, repeated: 0, is_displaced: false }
    }

    /// Adds the next result in the order of registration.
    pub fn add(&mut self, result: pollfd) {
        let room = self.results.len();
        if self.count == room {
            return self.leave_out(result);
        }
        // None: another thread has unregistered it since.
        let is_due = self.set.mark(result.fd, false).unwrap_or(false);
        if !is_due {
            if self.count + self.repeated == room {
                return self.leave_out(result);
            }
            self.repeated += 1;
            self.results[room - self.repeated].write(result);
            return;
        }
        let last_repeated = (self.count + self.repeated == room).then(|| self.result(self.count));
        self.results[self.count].write(result);
        self.count += 1;
        if let Some(last_repeated) = last_repeated {
            self.repeated -= 1;
            self.leave_out(last_repeated);
        }
    }

    /// There is no place for this result. If the kernel doesn't report it again, it takes that of another one.
    fn leave_out(&mut self, result: pollfd) {
        if !is_reported_once(self.set, result) {
            return;
        }
        // From the last one of the next round to the first one of this round.
        let mut places = (self.count..self.results.len()).chain((0..self.count).rev());
        let is_reported_again = |&place: &usize| !is_reported_once(self.set, self.result(place));
        let Some(place) = places.find(is_reported_again) else { return };
        if place < self.count {
            self.set.mark(self.result(place).fd, true);
            self.is_displaced = true;
        }
        self.results[place].write(result);
        self.set.mark(result.fd, false);
    }

    /// All have been added. Returns the number of results.
    pub fn finish(self) -> usize {
        let first = self.results.len() - self.repeated;
        self.results[first..].reverse();
        if self.count < self.results.len() && !self.is_displaced {
            // The round is over.
            self.set.mark_all();
            for place in first..self.results.len() {
                self.set.mark(self.result(place).fd, false);
            }
        }
        self.results.copy_within(first.., self.count);
        self.count + self.repeated
    }

    /// That of a place that has one.
    fn result(&self, place: usize) -> pollfd {
        debug_assert!(place < self.count || place >= self.results.len() - self.repeated);
        // SAFETY: `add` has written the first `count` and the last `repeated` results.
        unsafe { self.results[place].assume_init() }
    }
}
