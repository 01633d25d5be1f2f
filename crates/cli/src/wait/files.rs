//! The descriptors that a wait polls, each with its role. Bounds the number of connections.

use std::collections::VecDeque;
use std::io;

use pollset::{Descriptor, PollFlags, PollMap, Timeout};
use socket2::Socket;

use super::target::hang_up_events;

/// The maximum number of attempts to connect that are in progress. The others are queued.
const MAX_ATTEMPTS: usize = 512;
/// The maximum number of connections that are kept open to notice that a service is gone.
const MAX_KEPT: usize = 256;

/// An address of a service: the index of the target, and that of the address.
pub type AddressId = (usize, usize);

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

pub struct Files {
    files: PollMap<Role>,
    /// A file was registered after the last poll began.
    has_new_files: bool,
    queue: VecDeque<AddressId>,
    attempts: usize,
    kept: usize,
}

impl Files {
    pub fn new() -> Self {
        Self {
            files: PollMap::new(),
            has_new_files: false,
            queue: VecDeque::new(),
            attempts: 0,
            kept: 0,
        }
    }

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

    pub fn enqueue_attempt(&mut self, id: AddressId) {
        self.queue.push_back(id);
    }

    /// The address to connect to next, if another attempt may begin.
    pub fn next_attempt(&mut self) -> Option<AddressId> {
        if self.attempts < MAX_ATTEMPTS { self.queue.pop_front() } else { None }
    }

    /// Puts back what [`next_attempt`](Self::next_attempt) has returned.
    pub fn put_back_attempt(&mut self, id: AddressId) {
        self.queue.push_front(id);
    }

    pub fn begin_attempt(&mut self, socket: &Socket, id: AddressId) -> io::Result<()> {
        self.register(socket, PollFlags::OUT, Role::Attempt(id))?;
        self.attempts += 1;
        Ok(())
    }

    pub fn end_attempt(&mut self, socket: &Socket) {
        self.unregister(socket);
        self.attempts -= 1;
    }

    /// Registers a connection for its hang-up. Returns false if there are too many.
    pub fn keep(&mut self, socket: &Socket, id: AddressId) -> bool {
        let is_kept =
            self.kept < MAX_KEPT && self.register(socket, hang_up_events(), Role::Kept(id)).is_ok();
        self.kept += usize::from(is_kept);
        is_kept
    }

    pub fn end_keeping(&mut self, socket: &Socket) {
        self.unregister(socket);
        self.kept -= 1;
    }
}
