//! One wait: epoll polls its entries, and poll(2) the fallbacks.

use std::io;
use std::time::Duration;

use libc::epoll_event;
use rustix::io::Errno;

use super::compare::ENDS;
use super::{EpollEngine, is};
use crate::engine::{Failure, Polled, Results};
use crate::sys::epoll::{Epoll, parts};
use crate::sys::signals::SignalSet;
use crate::sys::whole_milliseconds;
use crate::{PollFlags, sys};

pub const NO_EVENT: epoll_event = epoll_event { events: 0, u64: 0 };

/// The room for events, unless there were more lately (H).
pub const BUFFER_LENGTH: usize = 64;

impl EpollEngine {
    /// Waits until a descriptor is ready or the time is up (`None`: no timeout). Writes the events of
    /// the ready slots to `results`.
    #[inline]
    pub fn poll(&mut self, timeout: Option<Duration>, results: Results<'_>) -> io::Result<Polled> {
        self.ready.clear();
        if self.fallback_keys.is_empty() && !self.has_compared() {
            if let Some(ms) = whole_milliseconds(timeout) {
                return self.poll_epoll::<false>(results, |epoll, buffer| epoll.wait(buffer, ms));
            }
        }
        self.poll_both(timeout, None, results)
    }

    /// The same with `mask` as the signal mask of the thread.
    #[cold]
    pub fn poll_masked(
        &mut self,
        timeout: Option<Duration>,
        mask: &SignalSet,
        results: Results<'_>,
    ) -> io::Result<Polled> {
        self.ready.clear();
        let may_block = timeout != Some(Duration::ZERO); // L
        if self.fallback_keys.is_empty() && !self.has_compared() && may_block {
            if let Some(ms) = whole_milliseconds(timeout) {
                let wait = |epoll: &Epoll, buffer: &mut _| epoll.wait_masked(buffer, ms, mask);
                return self.poll_epoll::<false>(results, wait);
            }
        }
        self.poll_both(timeout, Some(mask), results)
    }

    /// poll(2) polls the fallbacks and the instance, and then epoll its entries.
    fn poll_both(
        &mut self,
        timeout: Option<Duration>,
        mask: Option<&SignalSet>,
        results: Results<'_>,
    ) -> io::Result<Polled> {
        let has_results = self.has_results();
        let timeout = if has_results { Some(Duration::ZERO) } else { timeout };
        if timeout != Some(Duration::ZERO) {
            // What epoll reports may have become ready since it was compared.
            self.forget_compared();
        }
        if self.fallback_keys.is_empty() && mask.is_none() {
            if let Some(ms) = whole_milliseconds(timeout) {
                return self.poll_epoll::<true>(results, |epoll, buffer| epoll.wait(buffer, ms));
            }
        }
        // The kernel accepts as many entries as the process may have descriptors. An instance without
        // entries is left out, since it could be one too many.
        let first = if self.installed() == 0 { 1 } else { 0 };
        self.fallbacks[0].revents = 0;
        self.hide_fallbacks_with_results();
        let fallbacks = &mut self.fallbacks[first..];
        let outcome = match mask {
            None => sys::poll(fallbacks, timeout),
            Some(mask) => sys::poll_masked(fallbacks, timeout, mask),
        };
        self.restore_fallbacks_with_results();
        match outcome {
            Ok(_) => self.take_fallback_results(),
            // None of them was ready. But there are results from before.
            Err(error) if has_results && is(&error, Errno::INTR) => {
                self.fallbacks[0].revents = PollFlags::IN.bits() as i16;
            }
            Err(error) => {
                self.discard_results();
                return Err(error);
            }
        }
        match PollFlags::from_bits_retain(self.fallbacks[0].revents as u16) {
            PollFlags::IN => {
                self.poll_epoll::<true>(results, |epoll, buffer| epoll.wait(buffer, 0))
            }
            revents if revents.is_empty() => {
                let slots = results.slots();
                self.merge(0, results);
                self.ready.sort(slots);
                Ok(Polled::Ready(self.ready.len()))
            }
            // J
            _ => Ok(Polled::Failed(Failure::Lost)),
        }
    }

    #[inline]
    fn poll_epoll<const HAS_COMPARED: bool>(
        &mut self,
        mut results: Results<'_>,
        wait: impl FnOnce(&Epoll, &mut [epoll_event]) -> io::Result<usize>,
    ) -> io::Result<Polled> {
        let ready = match wait(&self.epoll, &mut self.buffer) {
            Ok(ready) => ready,
            Err(error) => return wait_error(error),
        };
        let room = self.buffer.len();
        if ready == room && room <= self.entries.len() {
            // H
            self.buffer.resize(self.entries.len() + 1, NO_EVENT);
            return Ok(Polled::Again);
        }
        let mut all = PollFlags::empty();
        for (event, place) in self.buffer[..ready].iter().zip(self.ready.add(ready)) {
            let (revents, token) = parts(event);
            let (key, serial) = (token as u32, (token >> 32) as u32);
            match self.targets.get(key as usize) {
                Some(target) if target.serial == serial && serial != 0 => {
                    results.set(target.slot as usize, revents);
                    *place = target.slot;
                    all |= revents;
                }
                _ => return Ok(self.classify_unknown_event(key, serial)),
            }
        }
        if all.intersects(ENDS) {
            self.compare_ended_next(ready, results.reborrow());
        }
        let slots = results.slots();
        if HAS_COMPARED {
            self.merge(ready, results);
        }
        if ready < room / 4 && room > BUFFER_LENGTH {
            self.buffer.truncate((room / 2).max(BUFFER_LENGTH));
        }
        self.ready.sort(slots);
        Ok(Polled::Ready(self.ready.len()))
    }

    /// An event that is not of an entry is of a stale one (B), or of another instance (J).
    #[cold]
    fn classify_unknown_event(&self, key: u32, serial: u32) -> Polled {
        if (key as usize) < self.targets.len() && self.serials.contains(serial) {
            Polled::Stale
        } else {
            Polled::Failed(Failure::Lost)
        }
    }

    /// The most events that the next call reports.
    pub fn most_events(&self) -> usize {
        self.fallbacks.len() + self.buffer.len()
    }

    /// The ready slots that were not taken, in order.
    #[inline]
    pub fn take_slots(&mut self) -> &[u32] {
        self.ready.take_all()
    }

    /// The next ready slot, in order. Each is returned once.
    #[cfg(feature = "bindings")]
    #[inline]
    pub fn take_slot(&mut self) -> Option<usize> {
        self.ready.take_next()
    }

    #[cfg(feature = "bindings")]
    pub fn next_slot(&self) -> Option<usize> {
        self.ready.next()
    }
}

#[cold]
fn wait_error(error: io::Error) -> io::Result<Polled> {
    if is(&error, Errno::INTR) {
        return Err(error);
    }
    // J. Any other error means that the system forbids the call.
    let is_lost = is(&error, Errno::BADF) || is(&error, Errno::INVAL);
    Ok(Polled::Failed(if is_lost { Failure::Lost } else { Failure::Refused }))
}
