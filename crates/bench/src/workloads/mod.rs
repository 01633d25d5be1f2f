//! What is done and counted, one file each.

mod active_pipes;
mod audit;
mod churn;
pub mod echo;
mod longest;
mod modify;
mod numbering;
mod registration;
mod transient;
mod waits;

use anyhow::Result;
use clap::ValueEnum;

use crate::measure::Run;
use crate::report::Chart;

/// The descriptions go to the reports.
#[derive(Clone, Copy, ValueEnum)]
pub enum Workload {
    /// One of n eventfds is ready. A wait, to its end: the events are looked at, and an edge- or
    /// oneshot-triggered contestant asks to be told again. At first it stays ready and nobody reads
    /// it, with no timeout and with a timeout of zero; then it becomes ready before each wait (8
    /// bytes are written) and is read after it.
    OneReady,
    /// k of n unix sockets are ready and stay so, evenly spread. A wait with no timeout, to its end:
    /// all events are looked at, and an edge- or oneshot-triggered contestant asks to be told again
    /// of each.
    ShareReady,
    /// 100 of n pipes are readable. Whoever reads a byte from one writes a byte to the next, until
    /// 1,000 more have been written. Nanoseconds for each byte.
    ActivePipes,
    /// Beside n idle unix sockets, a connection is made, watched, written to, waited for, read, not
    /// watched any more and closed.
    Churn,
    /// A new object is made, told of n unix sockets of which one is ready, asked once with a timeout
    /// of zero, and dropped. poll(2) and rustix have their entries on the stack, popol has room for
    /// all from the beginning; pollset is told of all sockets at once (`register_all`), where it is
    /// forced of one after the other.
    Transient,
    /// One of n unix sockets is ready. Before each wait it is modified, to be watched for writing as
    /// well and for reading alone by turns.
    Modify,
    /// A TCP server with 100 clients that talk and n that are idle: each of the 100 sends 32 bytes,
    /// and sends again when they are back. Server and clients are two processes; all contestants'
    /// servers are there at once and are talked to by turns.
    Echo,
    /// n eventfds are watched by a new object, which is asked once with a timeout of zero and
    /// dropped; nanoseconds for each descriptor. Then what it has on the heap, after so many waits
    /// that it has chosen its engine, in bytes for each descriptor; what the kernel keeps for it is
    /// not counted.
    Registration,
    /// One of n eventfds is ready. A wait of ours on epoll, while it looks for numbers that were
    /// closed without being unregistered as it always does, and while it does so at leisure, which
    /// is next to never; beside the bare epoll(7), which doesn't.
    Audit,
    /// One of n eventfds is ready. Waits without a timeout, each timed by itself; one in 500 comes
    /// right after 30 ms of work elsewhere, which writes to 64 MiB and so takes the caches. How long
    /// the longest take, by the clock: with the search for closed numbers as it comes, at leisure,
    /// and beside the bare epoll(7), which doesn't search. A sample is a figure of a round of 20,000
    /// waits (5,000 in a quick run).
    Longest,
    /// 100 descriptors, of which one is ready, and whose numbers go up to n: select(2) looks through
    /// the bits of all numbers up to the highest, poll(2) at those that it was told of. A wait with
    /// a timeout of zero.
    Numbering,
}

impl Workload {
    pub fn measure(self, run: &Run) -> Result<Vec<Chart>> {
        match self {
            Self::OneReady => waits::one_ready(run),
            Self::ShareReady => waits::share_ready(run),
            Self::ActivePipes => active_pipes::measure(run),
            Self::Churn => churn::measure(run),
            Self::Transient => transient::measure(run),
            Self::Modify => modify::measure(run),
            Self::Echo => echo::measure(run),
            Self::Registration => registration::measure(run),
            Self::Audit => audit::measure(run),
            Self::Longest => longest::measure(run),
            Self::Numbering => numbering::measure(run),
        }
    }
}
