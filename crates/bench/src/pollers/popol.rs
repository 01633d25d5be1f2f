use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use popol::{Event, Sources, Timeout, interest};

use super::poller::{Interest, Poller};

pub struct Popol {
    sources: Sources<RawFd>,
    events: Vec<Event<RawFd>>,
}

impl Popol {
    pub fn new() -> Self {
        Self { sources: Sources::new(), events: Vec::new() }
    }
}

impl Poller for Popol {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        self.sources.register(fd, &fd, interest::READ);
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        let _ = match interest {
            Interest::Read => self.sources.unset(&fd, interest::WRITE),
            Interest::ReadAndWrite => self.sources.set(&fd, interest::WRITE),
        };
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.sources.unregister(&fd);
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        match self.sources.poll(&mut self.events, Timeout::from(timeout)) {
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            result => drop(result?),
        }
        ready.extend(self.events.drain(..).map(|event| event.key));
        Ok(())
    }
}
