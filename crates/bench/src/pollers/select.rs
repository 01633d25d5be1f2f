use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use rustix::event::{
    FdSetElement, FdSetIter, Timespec, fd_set_bound, fd_set_insert, fd_set_remove, select,
};

use super::poller::{Interest, Poller};

/// select(2) takes only descriptors below this.
pub const FD_SETSIZE: RawFd = 1_024;
const ELEMENTS: usize = FD_SETSIZE as usize / (8 * size_of::<FdSetElement>());

pub struct Select {
    watched: Sets,
    /// A copy of `watched`, which select(2) overwrites with the ready descriptors.
    ready: Sets,
    highest: RawFd,
}

#[derive(Clone, Copy, Default)]
struct Sets {
    readable: [FdSetElement; ELEMENTS],
    writable: [FdSetElement; ELEMENTS],
}

impl Default for Select {
    fn default() -> Self {
        Self { watched: Sets::default(), ready: Sets::default(), highest: -1 }
    }
}

impl Poller for Select {
    fn add(&mut self, fd: RawFd) -> Result<()> {
        fd_set_insert(&mut self.watched.readable, fd);
        self.highest = self.highest.max(fd);
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, interest: Interest) -> Result<()> {
        match interest {
            Interest::Read => fd_set_remove(&mut self.watched.writable, fd),
            Interest::ReadAndWrite => fd_set_insert(&mut self.watched.writable, fd),
        }
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> Result<()> {
        fd_set_remove(&mut self.watched.readable, fd);
        fd_set_remove(&mut self.watched.writable, fd);
        if fd == self.highest {
            self.highest = fd_set_bound(&self.watched.readable) - 1;
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<RawFd>) -> Result<()> {
        self.ready = self.watched;
        let Sets { readable, writable } = &mut self.ready;
        let write_set = (fd_set_bound(writable) > 0).then_some(&mut writable[..]);
        let timeout = timeout
            .map(|timeout| Timespec::try_from(timeout).expect("the timeout fits a timespec"));
        // SAFETY: callers keep a descriptor open until they remove it, and the sets have room for
        // `FD_SETSIZE` bits.
        unsafe { select(self.highest + 1, Some(readable), write_set, None, timeout.as_ref())? };
        FdSetIter::new(writable).for_each(|fd| fd_set_insert(readable, fd));
        ready.extend(FdSetIter::new(readable));
        Ok(())
    }
}
