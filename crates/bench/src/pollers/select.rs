use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;
use rustix::event::{
    FdSetElement, FdSetIter, Timespec, fd_set_bound, fd_set_insert, fd_set_remove, select,
};

use super::{Interest, Poller};

/// `FD_SETSIZE`: of descriptors from here on select(2) is not to be asked.
pub const MOST: RawFd = 1_024;
const ELEMENTS: usize = MOST as usize / (8 * size_of::<FdSetElement>());

pub struct Select {
    watched: Sets,
    found: Sets,
    highest: RawFd,
}

#[derive(Clone, Copy, Default)]
struct Sets {
    readable: [FdSetElement; ELEMENTS],
    writable: [FdSetElement; ELEMENTS],
}

impl Default for Select {
    fn default() -> Self {
        Self { watched: Sets::default(), found: Sets::default(), highest: -1 }
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
        self.found = self.watched;
        let Sets { readable, writable } = &mut self.found;
        let for_writing = (fd_set_bound(writable) > 0).then_some(&mut writable[..]);
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).expect("it is short"));
        // SAFETY: the kernel looks at the descriptors of the sets; those who added them keep them
        // open until they have removed them.
        unsafe { select(self.highest + 1, Some(readable), for_writing, None, timeout.as_ref())? };
        FdSetIter::new(writable).for_each(|fd| fd_set_insert(readable, fd));
        ready.extend(FdSetIter::new(readable));
        Ok(())
    }
}
