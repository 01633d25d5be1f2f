use std::num::NonZero;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use anyhow::Result;
use polling::{Event, Events, PollMode};

use super::{Interest, Poller};

pub struct Polling {
    poller: polling::Poller,
    mode: PollMode,
    events: Events,
}

impl Polling {
    pub fn level(most_events: usize) -> Result<Self> {
        Self::new(PollMode::Level, most_events)
    }

    /// As it comes.
    pub fn oneshot(most_events: usize) -> Result<Self> {
        Self::new(PollMode::Oneshot, most_events)
    }

    fn new(mode: PollMode, most_events: usize) -> Result<Self> {
        // Two descriptors of its own are in there, too.
        let room = NonZero::new(most_events + 2).expect("it is positive");
        let events = Events::with_capacity(room);
        Ok(Self { poller: polling::Poller::new()?, mode, events })
    }
}

impl Poller for Polling {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        // SAFETY: who adds it keeps it open until it has been removed.
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
    // SAFETY: who added it keeps it open until it has been removed.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
