use std::convert::Infallible;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::Answer;
use crate::PollFlags;
use crate::registrations::Slot;
use crate::stats::Counters;

/// The epoll engine, where there is no epoll: it can't be made.
pub struct EpollEngine(Infallible);

impl EpollEngine {
    pub fn new(_is_taken: impl Fn(RawFd) -> bool, _audits_at_leisure: bool) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn is_inherited(&self, _generation: u32) -> bool {
        match self.0 {}
    }

    pub fn aside(&self) -> usize {
        match self.0 {}
    }

    pub fn set(&mut self, _number: usize, _slot: &mut Slot) {
        match self.0 {}
    }

    pub fn departed(&mut self) -> &mut Vec<u32> {
        match self.0 {}
    }

    pub fn remove_departed(&mut self) -> bool {
        match self.0 {}
    }

    pub fn apply(&mut self, _counters: &Counters) -> io::Result<()> {
        match self.0 {}
    }

    pub fn ask(
        &mut self,
        _timeout: Option<Duration>,
        _slots: usize,
        _answer: impl FnMut(usize, PollFlags),
    ) -> io::Result<Answer> {
        match self.0 {}
    }

    pub fn has_answers(&self) -> bool {
        match self.0 {}
    }

    pub fn kept_answers(&self) -> std::iter::Empty<(usize, PollFlags)> {
        match self.0 {}
    }

    pub fn forget_answers(&mut self) {
        match self.0 {}
    }

    pub fn take_slot(&mut self) -> Option<usize> {
        match self.0 {}
    }

    pub fn take_slots(&mut self) -> &[u32] {
        match self.0 {}
    }

    pub fn answers_at_once(&self) -> usize {
        match self.0 {}
    }

    pub fn replace(&mut self, _counters: &Counters) -> io::Result<()> {
        match self.0 {}
    }

    pub fn audit(&mut self, _counters: &Counters) -> bool {
        match self.0 {}
    }

    pub fn audit_blocked(&mut self, _counters: &Counters) -> bool {
        match self.0 {}
    }

    pub fn compare_last(&mut self, _blocked: Duration, _counters: &Counters) -> bool {
        match self.0 {}
    }

    pub fn pause(&self) -> Option<Duration> {
        match self.0 {}
    }
}
