use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use anyhow::Result;
pub use rustix::event::PollFlags;
use rustix::event::{PollFd, Timespec, poll};
use rustix::io;

use super::indexed::Indexed;
use super::poller::{Interest, Poller};

/// rustix's poll on an array that changes in place with the registrations.
#[derive(Default)]
pub struct RustixPoll(Indexed<PollFd<'static>>);

impl Poller for RustixPoll {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        self.0.add(fd, entry(fd, PollFlags::IN));
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        let events = match interest {
            Interest::Read => PollFlags::IN,
            Interest::ReadAndWrite => PollFlags::IN | PollFlags::OUT,
        };
        *self.0.get_mut(fd) = entry(fd, events);
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        self.0.remove(fd);
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        let count = wait(&mut self.0.entries, timeout)?;
        let with_events = self.0.entries.iter().filter(|entry| !entry.revents().is_empty());
        ready.extend(with_events.map(|entry| entry.as_fd().as_raw_fd()).take(count));
        Ok(())
    }
}

pub fn entry(fd: RawFd, events: PollFlags) -> PollFd<'static> {
    // SAFETY: callers keep a descriptor open until they remove it.
    PollFd::from_borrowed_fd(unsafe { BorrowedFd::borrow_raw(fd) }, events)
}

/// Returns the number of ready descriptors.
pub fn wait(entries: &mut [PollFd], timeout: Option<Duration>) -> io::Result<usize> {
    let timeout =
        timeout.map(|timeout| Timespec::try_from(timeout).expect("the timeout fits a timespec"));
    poll(entries, timeout.as_ref())
}
