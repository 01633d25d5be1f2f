//! The descriptors that a wait polls, each with its role.

use std::io;

use pollset::{Descriptor, PollFlags, PollMap, Timeout};

use super::attempts::AddressId;

#[derive(Clone, Copy)]
pub enum Role {
    /// Wakes this thread when a host was looked up.
    Lookups,
    /// An attempt to connect that is in progress.
    Attempt(AddressId),
    /// A connection to a service that is waited for to be gone.
    Kept(AddressId),
    /// An open target, given by its index.
    Target(usize),
}

#[derive(Default)]
pub struct Files {
    files: PollMap<Role>,
    has_new_files: bool,
}

impl Files {
    pub fn register(
        &mut self,
        fd: impl Descriptor,
        events: PollFlags,
        role: Role,
    ) -> io::Result<()> {
        self.has_new_files = true;
        self.files.register(fd, events, role).map(drop)
    }

    /// Does nothing if it is not registered.
    pub fn unregister(&mut self, fd: impl Descriptor) {
        let _ = self.files.unregister(fd);
    }

    /// Waits. Returns the roles of the ready files, with their events.
    pub fn poll(&mut self, timeout: Timeout) -> io::Result<Vec<(Role, PollFlags)>> {
        self.has_new_files = false;
        let mut ready = Vec::with_capacity(self.files.poll(timeout)?);
        while let Some((event, &mut role)) = self.files.next_event() {
            ready.push((role, event.revents));
        }
        Ok(ready)
    }

    /// Whether a file was registered after the last poll began.
    pub fn has_new_files(&self) -> bool {
        self.has_new_files
    }
}
