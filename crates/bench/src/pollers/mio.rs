use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use mio::unix::SourceFd;
use mio::{Events, Poll, Token};

use super::poller::{Interest, Poller};

pub struct Mio {
    poll: Poll,
    events: Events,
}

impl Mio {
    pub fn new(capacity: usize) -> Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(capacity) })
    }
}

impl Poller for Mio {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&fd), Token(fd as usize), mio::Interest::READABLE)?;
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        let interest = match interest {
            Interest::Read => mio::Interest::READABLE,
            Interest::ReadAndWrite => mio::Interest::READABLE | mio::Interest::WRITABLE,
        };
        self.poll.registry().reregister(&mut SourceFd(&fd), Token(fd as usize), interest)?;
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&fd))?;
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        self.poll.poll(&mut self.events, timeout)?;
        ready.extend(self.events.iter().map(|event| event.token().0 as RawFd));
        Ok(())
    }
}
