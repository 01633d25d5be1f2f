use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use pollset::{Builder, Event, PollFlags, PollSet};

use super::poller::{Interest, Poller};

/// A set, and a list of events that is reused.
pub struct Pollset {
    set: PollSet,
    events: Vec<Event>,
}

impl Pollset {
    pub fn new(builder: Builder) -> Self {
        Self { set: builder.build(), events: Vec::new() }
    }
}

impl Poller for Pollset {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        self.set.register(fd, PollFlags::IN)?;
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        let flags = match interest {
            Interest::Read => PollFlags::IN,
            Interest::ReadAndWrite => PollFlags::IN | PollFlags::OUT,
        };
        self.set.modify(fd, flags)?;
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.set.unregister(fd)?;
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        self.set.poll_into(&mut self.events, timeout)?;
        ready.extend(self.events.iter().map(|event| event.fd));
        Ok(())
    }
}
