//! Polls by epoll(7), level-triggered, with the results of poll(2).
//!
//! The cost of a wait grows with the number of *ready* descriptors. epoll differs from poll(2) in
//! what follows. Each point has a letter, and the code names it where it deals with it.
//!
//! - **A. Closed numbers are silent.** An entry belongs to a file and a number. When the last
//!   descriptor of the file is closed, the entry is gone; poll(2) reports `NVAL`. Some entries are
//!   *compared* from time to time: poll(2) is called for them, with a timeout of 0 ([`compare`]).
//! - **B. Stale entries.** If the number is closed while its file lives on, in a duplicate or a
//!   forked child, the entry stays, reports events, and can't be removed. Each event carries the
//!   serial number of its entry. An event with the serial of a removed entry means that the
//!   instance is to be replaced ([`wait`], [`interest`]).
//! - **C. Reused numbers.** A number that was closed and opened again means another file, which has
//!   no entry. `EPOLL_CTL_MOD` fails with `ENOENT` (or `EBADF`, if it is closed). Some entries are
//!   *re-checked* from time to time, by `EPOLL_CTL_MOD` with the mask that they have ([`check`]).
//! - **D. Files that don't wake their waiters.** epoll polls a file when its entry is added, and
//!   again only after the file has woken its waiters. Some files become ready without that. Only
//!   files of known kinds get an entry ([`kinds`](crate::sys::kinds)). A known kind may still do
//!   it in rare cases: comparing finds them, and a descriptor that epoll misses twice in a row gets
//!   no entry any more.
//! - **E. Polling may consume the event.** Some files report an event once. `EPOLL_CTL_ADD`,
//!   `EPOLL_CTL_MOD` and a second epoll_wait(2) poll the file. Such files get no entry either, and
//!   what poll(2) has reported in a wait is kept until the wait is over ([`compare`]).
//! - **F. Masks without `IN` or `OUT`.** Many files wake their waiters with `IN` or `OUT` alone, and
//!   epoll ignores a wake-up that has none of the requested events. A mask such as `RDNORM` alone
//!   gets no entry ([`interest`]).
//! - **G. Refused files.** `EPOLL_CTL_ADD` fails with `EPERM` for regular files and directories,
//!   `EBADF` for closed numbers, `ELOOP` or `EINVAL` for some epoll descriptors: no entry. With
//!   `ENOSPC` or `ENOMEM` there is no room for entries: the set goes back to poll(2).
//! - **H. Order and room.** epoll reports in an order of its own, and only as many events as the
//!   buffer holds. The slots are sorted ([`ready`]); a full buffer is enlarged, and the call is
//!   repeated, which starts with the events that were left ([`wait`]).
//! - **I. Forks.** A forked child shares the instance, and would change what its parent sees. It
//!   never uses the instance ([`EpollEngine::is_inherited`]).
//! - **J. The number of the instance** can be closed, and used again for another file, by code that
//!   closes all descriptors. A call that fails with `EBADF` or `EINVAL` shows that, and an event with
//!   a serial that was never assigned. After a failure, when epoll has missed an event, before a
//!   slice of re-checks and before the instance is closed, its mark is read ([`Epoll`]). Until then, calls may change another instance that has
//!   the number.
//! - **K. Whole milliseconds.** epoll_wait(2) takes no fractions. Such a timeout is left to poll(2),
//!   which polls the instance.
//! - **L. Signals.** With a signal mask and a timeout of 0, ppoll(2) fails with `EINTR` if a signal is
//!   pending that the mask doesn't block, and epoll_pwait(2) doesn't look. Such a wait is left to
//!   ppoll(2), too.
//!
//! A descriptor without an entry is a *fallback*: poll(2) polls it in the same wait, together with
//! the instance.

mod audit;
mod check;
mod compare;
mod interest;
mod ready;
mod serials;
mod wait;

use std::io;
use std::os::fd::RawFd;

use rustix::io::Errno;

use audit::Audit;
use compare::Comparison;
use ready::ReadySlots;
use serials::Serials;
use wait::{BUFFER_LENGTH, NO_EVENT};

use crate::PollFlags;
use crate::sys::epoll::Epoll;
use crate::sys::process_generation;

pub struct EpollEngine {
    epoll: Epoll,
    /// The number of the instance means another file (J), as comparing has shown. The wait that has
    /// noticed it may lack events; the next one goes back to poll(2).
    is_lost: bool,
    /// By key.
    entries: Vec<Entry>,
    /// By key: what an event needs to become a result.
    targets: Vec<Target>,
    free_keys: Vec<u32>,
    /// Keys of the entries to be installed, in the order of the slots. epoll reports in the order in
    /// which entries became ready, or were added.
    pending: Vec<u32>,
    /// How many of them are to be added.
    pending_additions: usize,
    /// For poll(2): the instance itself, and then the fallbacks.
    fallbacks: Vec<libc::pollfd>,
    /// The keys of `fallbacks[1..]`.
    fallback_keys: Vec<u32>,
    /// As long as the number of events that a call may report.
    buffer: Vec<libc::epoll_event>,
    ready: ReadySlots,
    serials: Serials,
    audit: Audit,
    comparison: Comparison,
    next_rechecked: usize,
}

#[derive(Clone, Copy)]
struct Target {
    slot: u32,
    /// Of the kernel's entry. 0: the kernel has none.
    serial: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    fd: RawFd,
    /// The mask of the registration when the wait began.
    interest: PollFlags,
    /// The mask that the kernel's entry has.
    installed: PollFlags,
    state: State,
    /// In `pending`.
    is_pending: bool,
    /// Registered since the entry was installed: the number may mean another file.
    was_registered: bool,
    trust: Trust,
    /// poll(2) has reported it in this wait, and epoll has not done so yet.
    has_result: bool,
    /// In the list of those that the next wait compares.
    is_compared_next: bool,
    /// How often it was in that list because its connection had ended.
    ends: u8,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The key is free.
    Free,
    /// To be added to the instance.
    New,
    /// The kernel has an entry.
    Installed,
    /// At this place in `fallback_keys`.
    Fallback(u32),
}

/// Whether the events of an entry can be trusted.
#[derive(Clone, Copy, PartialEq)]
pub enum Trust {
    Full,
    /// poll(2) has reported it, and epoll, called later, has not. That also happens if another
    /// thread reads from it in between.
    Doubted,
    /// That happened twice in a row. The descriptor stays a fallback until it is registered again.
    None,
}

impl EpollEngine {
    /// The number of the instance is none that is `taken`.
    pub fn new(taken: impl Fn(RawFd) -> bool, relaxed_audit: bool) -> io::Result<Self> {
        let epoll = Epoll::new(taken)?;
        Ok(Self {
            fallbacks: vec![pollfd(epoll.number(), PollFlags::IN)],
            epoll,
            is_lost: false,
            entries: Vec::new(),
            targets: Vec::new(),
            free_keys: Vec::new(),
            pending: Vec::new(),
            pending_additions: 0,
            fallback_keys: Vec::new(),
            buffer: vec![NO_EVENT; BUFFER_LENGTH],
            ready: ReadySlots::new(),
            serials: Serials::new(),
            audit: Audit::new(relaxed_audit),
            comparison: Comparison::new(),
            next_rechecked: 0,
        })
    }

    /// Whether another process than that of this `generation` has opened the instance (I).
    #[inline]
    pub fn is_inherited(&self, generation: u32) -> bool {
        !self.epoll.is_owned_by(generation)
    }

    /// The number of descriptors that poll(2) polls.
    pub fn fallbacks(&self) -> usize {
        self.fallback_keys.len()
    }

    /// The number of entries that the kernel has, once none is pending.
    fn installed(&self) -> usize {
        self.entries.len() - self.free_keys.len() - self.fallback_keys.len()
    }

    /// Has the instance not closed: its number means another file (J).
    pub fn abandon(&mut self) {
        self.epoll.disown();
    }
}

/// To close an instance takes the kernel 0.4 to 1 µs for each entry.
impl Drop for EpollEngine {
    fn drop(&mut self) {
        if !self.is_inherited(process_generation()) {
            self.epoll.close();
        }
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(error) == Some(errno)
}

fn pollfd(fd: RawFd, events: PollFlags) -> libc::pollfd {
    libc::pollfd { fd, events: events.bits() as i16, revents: 0 }
}
