use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use pollset::{Builder, Event, PollFd, PollFlags, PollSet};

use super::indexed::Indexed;
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
        self.set.modify(fd, flags(interest))?;
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

/// pollset's function on an array that changes in place with the registrations.
#[derive(Default)]
pub struct PollFunction(Indexed<PollFd>);

impl Poller for PollFunction {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        self.0.add(fd, PollFd::new(fd, PollFlags::IN));
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        *self.0.get_mut(fd) = PollFd::new(fd, flags(interest));
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.0.remove(fd);
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        let count = pollset::poll(&mut self.0.entries, timeout)?;
        let events = self.0.entries.iter().filter_map(PollFd::event);
        ready.extend(events.map(|event| event.fd).take(count));
        Ok(())
    }
}

fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Read => PollFlags::IN,
        Interest::ReadAndWrite => PollFlags::IN | PollFlags::OUT,
    }
}
