//! Asking epoll about what it watches, and poll(2) about what is aside, in one wait.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::compare::ENDS;
use super::{EpollEngine, is};
use crate::engine::Answer;
use crate::sys::epoll::parts;
use crate::{PollFlags, sys};

pub const NO_EVENT: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };

/// Events that are asked for at once, unless there have been more lately.
pub const ROOM: usize = 64;

impl EpollEngine {
    /// Asks, and waits until something is ready or the timeout is over (`None`: without end). Calls
    /// `answer` for each slot that is ready, all of them below `slots`.
    #[inline]
    pub fn ask(
        &mut self,
        timeout: Option<Duration>,
        slots: usize,
        answer: impl FnMut(usize, PollFlags),
    ) -> io::Result<Answer> {
        self.found.clear();
        if self.aside_keys.is_empty()
            && !self.has_compared()
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
        let has_answers = self.has_answers();
        let timeout = if has_answers { Some(Duration::ZERO) } else { timeout };
        if timeout != Some(Duration::ZERO) {
            // What epoll reports may have become ready since.
            self.forget_compared();
        }
        if self.aside_keys.is_empty()
            && let Some(ms) = whole_milliseconds(timeout)
        {
            return self.ask_epoll::<true>(ms, slots, answer);
        }
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
    fn ask_epoll<const HAS_COMPARED: bool>(
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
        if HAS_COMPARED {
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
        // Another instance has taken the number.
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
}

/// -1: without end.
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
