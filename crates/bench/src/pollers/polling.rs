use std::num::NonZero;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use anyhow::Result;
use polling::{Event, Events, PollMode};

use super::poller::{Interest, Poller};

pub struct Polling {
    poller: polling::Poller,
    mode: PollMode,
    events: Events,
}

impl Polling {
    pub fn level(capacity: usize) -> Result<Self> {
        Self::new(PollMode::Level, capacity)
    }

    /// The default mode.
    pub fn oneshot(capacity: usize) -> Result<Self> {
        Self::new(PollMode::Oneshot, capacity)
    }

    fn new(mode: PollMode, capacity: usize) -> Result<Self> {
        // Two events more: `polling` registers two descriptors of its own.
        let capacity = NonZero::new(capacity + 2).expect("it is positive");
        let events = Events::with_capacity(capacity);
        Ok(Self { poller: polling::Poller::new()?, mode, events })
    }
}

impl Poller for Polling {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        // SAFETY: callers keep a descriptor open until they remove it.
        unsafe { self.poller.add_with_mode(fd, Event::readable(fd as usize), self.mode)? };
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        let event = match interest {
            Interest::Read => Event::readable(fd as usize),
            Interest::ReadAndWrite => Event::all(fd as usize),
        };
        self.poller.modify_with_mode(borrow(fd), event, self.mode)?;
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.poller.delete(borrow(fd))?;
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        self.events.clear();
        self.poller.wait(&mut self.events, timeout)?;
        ready.extend(self.events.iter().map(|event| event.key as RawFd));
        Ok(())
    }
}

fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: callers keep a descriptor open until they remove it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
