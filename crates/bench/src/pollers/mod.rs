//! Who is compared: each behind the same few calls, in its best usage.

pub mod bare_epoll;
pub mod bare_poll;
mod by_number;
mod mio;
mod ours;
mod polling;
mod popol;
pub mod rustix;
mod select;

use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use pollset::{Builder, Engine};

use crate::report::Kind;

use bare_epoll::Epoll;
pub use select::MOST as MOST_OF_SELECT;

/// Watches descriptors, each of which is its own key.
pub trait Poller {
    /// Watches it for reading.
    fn add(&mut self, fd: RawFd) -> Result<()>;
    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()>;
    /// The descriptor is about to be closed.
    fn remove(&mut self, fd: RawFd) -> Result<()>;
    /// Waits without end, or asks if the timeout is zero. Appends what is ready.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()>;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Read,
    ReadAndWrite,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Contestant {
    Poll,
    Epoll,
    /// Doesn't tell the kernel of a descriptor that is about to be closed. The kernel forgets it, if
    /// nothing else has the file open.
    EpollLeftToClose,
    Select,
    Rustix,
    Popol,
    Polling,
    PollingOneshot,
    Mio,
    Ours,
    OursOnPoll,
    OursOnEpoll,
    OursAtLeisure,
}

/// What it takes to be told of a descriptor once more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Nothing.
    Level,
    /// It has been read until nothing was left, or is modified.
    Edge,
    /// It is modified.
    Oneshot,
}

impl Contestant {
    /// Those that come in question for everything.
    pub const ALL: [Self; 11] = [
        Self::Poll,
        Self::Epoll,
        Self::Select,
        Self::Rustix,
        Self::Popol,
        Self::Polling,
        Self::PollingOneshot,
        Self::Mio,
        Self::Ours,
        Self::OursOnPoll,
        Self::OursOnEpoll,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll(2)",
            Self::Epoll => "epoll(7)",
            Self::EpollLeftToClose => "epoll(7), left to close",
            Self::Select => "select(2)",
            Self::Rustix => "rustix",
            Self::Popol => "popol",
            Self::Polling => "polling",
            Self::PollingOneshot => "polling, oneshot",
            Self::Mio => "mio",
            Self::Ours => "pollset",
            Self::OursOnPoll => "pollset, poll forced",
            Self::OursOnEpoll => "pollset, epoll forced",
            Self::OursAtLeisure => "pollset, audit at leisure",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::Poll | Self::Epoll | Self::EpollLeftToClose | Self::Select => Kind::Bare,
            Self::Rustix | Self::Popol | Self::Polling | Self::PollingOneshot | Self::Mio => {
                Kind::Peer
            }
            Self::Ours => Kind::Ours,
            Self::OursOnPoll | Self::OursOnEpoll | Self::OursAtLeisure => Kind::OursForced,
        }
    }

    pub fn trigger(self) -> Trigger {
        match self {
            Self::PollingOneshot => Trigger::Oneshot,
            Self::Mio => Trigger::Edge,
            _ => Trigger::Level,
        }
    }

    pub fn can_watch(self, fd: RawFd) -> bool {
        self != Self::Select || fd < MOST_OF_SELECT
    }

    /// With room for an event of each of so many descriptors, where room must be made beforehand.
    pub fn poller(self, most_events: usize) -> Result<Box<dyn Poller>> {
        let ours = Builder::new();
        Ok(match self {
            Self::Poll => Box::new(bare_poll::Poll::default()),
            Self::Epoll => Box::new(Epoll::new(most_events)?),
            Self::EpollLeftToClose => Box::new(bare_epoll::LeftToClose(Epoll::new(most_events)?)),
            Self::Select => Box::new(select::Select::default()),
            Self::Rustix => Box::new(rustix::Poll::default()),
            Self::Popol => Box::new(popol::Popol::new()),
            Self::Polling => Box::new(polling::Polling::level(most_events)?),
            Self::PollingOneshot => Box::new(polling::Polling::oneshot(most_events)?),
            Self::Mio => Box::new(mio::Mio::new(most_events)?),
            Self::Ours => Box::new(ours::Ours::new(ours)),
            Self::OursOnPoll => Box::new(ours::Ours::new(ours.engine(Engine::Poll))),
            Self::OursOnEpoll => Box::new(ours::Ours::new(ours.engine(Engine::Epoll))),
            Self::OursAtLeisure => Box::new(ours::Ours::new(ours.audit_at_leisure())),
        })
    }

    /// Watches these for reading.
    pub fn watching(self, numbers: &[RawFd]) -> Result<Watching> {
        let mut watching = Watching::new(self, numbers.len() + 1)?;
        numbers.iter().try_for_each(|&fd| watching.poller.add(fd))?;
        Ok(watching)
    }
}

/// A poller, and what it found last.
pub struct Watching {
    pub poller: Box<dyn Poller>,
    pub trigger: Trigger,
    ready: Vec<RawFd>,
}

impl Watching {
    /// With room for so many events.
    pub fn new(contestant: Contestant, most_events: usize) -> Result<Self> {
        let poller = contestant.poller(most_events)?;
        let ready = Vec::with_capacity(most_events);
        Ok(Self { poller, trigger: contestant.trigger(), ready })
    }

    /// Waits, and asks to be told again of what is ready, which nobody reads. How many are.
    pub fn count(&mut self, timeout: Option<Duration>) -> usize {
        self.wait(timeout);
        if self.trigger != Trigger::Level {
            for &fd in &self.ready {
                self.poller.modify(fd, Interest::Read).expect("it is watched");
            }
        }
        self.ready.len()
    }

    /// Waits, and has all that is ready read until nothing is left. The server says whether it is
    /// still to be watched.
    pub fn serve(
        &mut self,
        timeout: Option<Duration>,
        mut server: impl FnMut(&mut dyn Poller, RawFd) -> Result<bool>,
    ) -> Result<()> {
        self.wait(timeout);
        for &fd in &self.ready {
            if server(&mut *self.poller, fd)? && self.trigger == Trigger::Oneshot {
                self.poller.modify(fd, Interest::Read)?;
            }
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.ready.clear();
        self.poller.wait(timeout, &mut self.ready).expect("the wait succeeds");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn contestants() -> impl Iterator<Item = Contestant> {
        Contestant::value_variants().iter().copied()
    }

    #[test]
    fn everyone_is_told_of_what_is_ready_as_often_as_it_asks() -> Result<()> {
        for contestant in contestants() {
            let pairs = [UnixStream::pair()?, UnixStream::pair()?, UnixStream::pair()?];
            let numbers = pairs.each_ref().map(|(near, _)| near.as_raw_fd());
            let mut watching = contestant.watching(&numbers)?;
            assert_eq!(watching.count(NOW), 0, "{}", contestant.name());

            (&pairs[1].1).write_all(b"!")?;
            for timeout in [None, NOW, None] {
                assert_eq!(watching.count(timeout), 1, "{}", contestant.name());
                assert_eq!(watching.ready, numbers[1..2], "{}", contestant.name());
            }
        }
        Ok(())
    }

    #[test]
    fn everyone_is_told_of_what_comes_after_all_was_read() -> Result<()> {
        for contestant in contestants() {
            let (near, mut far) = UnixStream::pair()?;
            let mut watching = contestant.watching(&[near.as_raw_fd()])?;
            for _ in 0..3 {
                far.write_all(b"!")?;
                let mut served = 0;
                watching.serve(None, |_, _| {
                    served += 1;
                    (&near).read_exact(&mut [0])?;
                    Ok(true)
                })?;
                assert_eq!(served, 1, "{}", contestant.name());
                assert_eq!(watching.count(NOW), 0, "{}", contestant.name());
            }
        }
        Ok(())
    }

    #[test]
    fn everyone_can_modify_and_remove() -> Result<()> {
        for contestant in contestants() {
            let pairs = [UnixStream::pair()?, UnixStream::pair()?];
            let numbers = pairs.each_ref().map(|(near, _)| near.as_raw_fd());
            let mut watching = contestant.watching(&numbers)?;
            watching.poller.modify(numbers[0], Interest::ReadAndWrite)?;
            assert_eq!(watching.count(NOW), 1, "{}", contestant.name());
            watching.poller.modify(numbers[0], Interest::Read)?;
            assert_eq!(watching.count(NOW), 0, "{}", contestant.name());

            (&pairs[0].1).write_all(b"!")?;
            (&pairs[1].1).write_all(b"!")?;
            let [(gone, _), _] = pairs;
            watching.poller.remove(gone.as_raw_fd())?;
            drop(gone);
            assert_eq!(watching.count(NOW), 1, "{}", contestant.name());
            assert_eq!(watching.ready, numbers[1..], "{}", contestant.name());
        }
        Ok(())
    }
}
