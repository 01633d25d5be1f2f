//! The epoll engine where there is no epoll: it can't be created.

use std::convert::Infallible;
use std::io;
use std::iter::Empty;
use std::os::fd::RawFd;
use std::time::Duration;

use super::{Failure, Pending, Polled, Results};
use crate::PollFlags;
use crate::registrations::{Registrations, Slot};
use crate::stats::Counters;
use crate::sys::epoll::Epoll;
use crate::sys::signals::SignalSet;

pub struct EpollEngine(Infallible);

impl EpollEngine {
    pub fn new(_taken: impl Fn(RawFd) -> bool, _relaxed_audit: bool) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn take_all(&mut self, _registrations: &mut Registrations) {
        match self.0 {}
    }

    pub fn is_inherited(&self, _generation: u32) -> bool {
        match self.0 {}
    }

    pub fn fallbacks(&self) -> usize {
        match self.0 {}
    }

    pub fn abandon(&mut self) {
        match self.0 {}
    }

    pub fn free_deleted(&mut self, _registrations: &mut Registrations) {
        match self.0 {}
    }

    pub fn set(&mut self, _number: usize, _slot: &mut Slot) {
        match self.0 {}
    }

    pub fn pending(&self) -> Pending {
        match self.0 {}
    }

    pub fn has_pending(&self) -> bool {
        match self.0 {}
    }

    pub fn has_exhausted_serials(&self) -> bool {
        match self.0 {}
    }

    pub fn install(&mut self, _entries: usize, _counters: &Counters) -> Result<usize, Failure> {
        match self.0 {}
    }

    pub fn replace(&mut self, _new: Epoll, _counters: &Counters) -> Result<(), Failure> {
        match self.0 {}
    }

    pub fn poll(
        &mut self,
        _timeout: Option<Duration>,
        _results: Results<'_>,
    ) -> io::Result<Polled> {
        match self.0 {}
    }

    pub fn poll_masked(
        &mut self,
        _timeout: Option<Duration>,
        _mask: &SignalSet,
        _results: Results<'_>,
    ) -> io::Result<Polled> {
        match self.0 {}
    }

    pub fn most_events(&self) -> usize {
        match self.0 {}
    }

    pub fn take_slots(&mut self) -> &[u32] {
        match self.0 {}
    }

    #[cfg(feature = "bindings")]
    pub fn take_slot(&mut self) -> Option<usize> {
        match self.0 {}
    }

    pub fn has_results(&self) -> bool {
        match self.0 {}
    }

    pub fn kept_results(&self) -> Empty<(usize, PollFlags)> {
        match self.0 {}
    }

    #[cfg(feature = "bindings")]
    pub fn next_slot(&self) -> Option<usize> {
        match self.0 {}
    }

    pub fn discard_results(&mut self) {
        match self.0 {}
    }

    pub fn is_audit_due(&mut self) -> bool {
        match self.0 {}
    }

    pub fn audit(&mut self, _counters: &Counters) -> Result<(), Failure> {
        match self.0 {}
    }

    pub fn audit_blocked(&mut self, _counters: &Counters) -> Result<(), Failure> {
        match self.0 {}
    }

    pub fn comparing_cost(&self) -> u64 {
        match self.0 {}
    }

    pub fn compare_last(&mut self, _blocked: Duration, _counters: &Counters) -> bool {
        match self.0 {}
    }

    pub fn pause(&self) -> Option<Duration> {
        match self.0 {}
    }
}
