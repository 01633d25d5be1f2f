use std::os::fd::RawFd;

use anyhow::Result;
use clap::ValueEnum;
use pollset::{Builder, Engine};

use super::bare_epoll::{Epoll, EpollWithoutDelete};
use super::bare_poll::Poll;
use super::bookkeeping::Bookkeeping;
use super::c_face::CFace;
use super::mio::Mio;
use super::poller::Poller;
use super::polling::Polling;
use super::pollset::{PollFunction, Pollset};
use super::popol::Popol;
use super::rustix::RustixPoll;
use super::select::{FD_SETSIZE, Select};
use crate::report::Kind;

/// A poller under comparison.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    Poll,
    Epoll,
    /// Makes no EPOLL_CTL_DEL for a descriptor that is about to be closed. The kernel removes it on
    /// close(2), if no other descriptor refers to the open file.
    EpollWithoutDelete,
    /// The least that a wait with the guarantees of pollset needs.
    EpollWithBookkeeping,
    Select,
    Rustix,
    Popol,
    Polling,
    PollingOneshot,
    Mio,
    Pollset,
    PollsetOnPoll,
    PollsetOnEpoll,
    PollsetSlowAudit,
    /// libpollset.
    PollsetC,
    /// The function for an array.
    PollFunction,
}

/// When a poller reports a descriptor again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// In each wait, while the descriptor is ready.
    Level,
    /// After the caller has read until EAGAIN, or has modified the registration.
    Edge,
    /// After the caller has modified the registration.
    Oneshot,
}

impl Subject {
    /// The subjects of workloads that don't choose their own.
    pub const ALL: [Self; 12] = [
        Self::Poll,
        Self::Epoll,
        Self::Select,
        Self::Rustix,
        Self::Popol,
        Self::Polling,
        Self::PollingOneshot,
        Self::Mio,
        Self::Pollset,
        Self::PollsetOnPoll,
        Self::PollsetOnEpoll,
        Self::PollsetC,
    ];

    /// The subjects of [`ALL`](Self::ALL) that can watch all of these descriptors.
    pub fn all_for(fds: &[RawFd]) -> Vec<Self> {
        Self::ALL.into_iter().filter(|subject| subject.can_watch_all(fds)).collect()
    }

    /// The name in tables and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll(2)",
            Self::Epoll => "epoll(7)",
            Self::EpollWithoutDelete => "epoll(7), no DEL",
            Self::EpollWithBookkeeping => "epoll(7), bookkeeping",
            Self::Select => "select(2)",
            Self::Rustix => "rustix",
            Self::Popol => "popol",
            Self::Polling => "polling",
            Self::PollingOneshot => "polling, oneshot",
            Self::Mio => "mio",
            Self::Pollset => "pollset",
            Self::PollsetOnPoll => "pollset, poll forced",
            Self::PollsetOnEpoll => "pollset, epoll forced",
            Self::PollsetSlowAudit => "pollset, slow audit",
            Self::PollsetC => "pollset, C",
            Self::PollFunction => "pollset::poll",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::Poll | Self::Epoll | Self::EpollWithoutDelete | Self::Select => Kind::Bare,
            Self::EpollWithBookkeeping => Kind::Reference,
            Self::Rustix | Self::Popol | Self::Polling | Self::PollingOneshot | Self::Mio => {
                Kind::Peer
            }
            Self::Pollset | Self::PollsetC | Self::PollFunction => Kind::Ours,
            Self::PollsetOnPoll | Self::PollsetOnEpoll | Self::PollsetSlowAudit => Kind::OursForced,
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
        self != Self::Select || fd < FD_SETSIZE
    }

    pub fn can_watch_all(self, fds: &[RawFd]) -> bool {
        fds.iter().all(|&fd| self.can_watch(fd))
    }

    /// A poller without registrations. `capacity` is the number of events per wait, for pollers
    /// whose event buffer has a fixed size.
    pub fn poller(self, capacity: usize) -> Result<Box<dyn Poller>> {
        let builder = Builder::new();
        Ok(match self {
            Self::Poll => Box::new(Poll::default()),
            Self::Epoll => Box::new(Epoll::new(capacity)?),
            Self::EpollWithoutDelete => Box::new(EpollWithoutDelete(Epoll::new(capacity)?)),
            Self::EpollWithBookkeeping => Box::new(Bookkeeping::new(capacity)?),
            Self::Select => Box::new(Select::default()),
            Self::Rustix => Box::new(RustixPoll::default()),
            Self::Popol => Box::new(Popol::new()),
            Self::Polling => Box::new(Polling::level(capacity)?),
            Self::PollingOneshot => Box::new(Polling::oneshot(capacity)?),
            Self::Mio => Box::new(Mio::new(capacity)?),
            Self::Pollset => Box::new(Pollset::new(builder)),
            Self::PollsetOnPoll => Box::new(Pollset::new(builder.engine(Some(Engine::Poll)))),
            Self::PollsetOnEpoll => Box::new(Pollset::new(builder.engine(Some(Engine::Epoll)))),
            Self::PollsetSlowAudit => Box::new(Pollset::new(builder.relaxed_audit())),
            Self::PollsetC => Box::new(CFace::new(capacity)?),
            Self::PollFunction => Box::new(PollFunction::default()),
        })
    }
}
