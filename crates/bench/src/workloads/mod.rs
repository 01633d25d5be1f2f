//! The workloads, one file each.

mod active_pipes;
mod audit;
mod changing;
mod choice;
mod churn;
pub mod echo;
mod longest;
mod modify;
mod numbering;
mod one_shot;
mod ready;
mod registration;
mod transient;
mod values;

use anyhow::Result;
use clap::ValueEnum;

use crate::measure::Run;
use crate::report::Chart;

/// The doc comments are the help texts, and the descriptions in the reports.
#[derive(Clone, Copy, ValueEnum)]
pub enum Workload {
    /// One of n eventfds is ready. The time of a wait: it includes a pass over the events, and for
    /// an edge-triggered or oneshot subject the call that re-arms the descriptor. The eventfd stays
    /// ready and is not read, with no timeout and with timeout 0. In a third chart 8 bytes are
    /// written to it before each wait and read after it. "epoll(7), bookkeeping" is the bare call
    /// and the least that the guarantees of pollset need, without an audit.
    OneReady,
    /// k of n Unix sockets are ready and stay so, evenly spread. The time of a wait without a
    /// timeout: it includes a pass over the events, and for an edge-triggered or oneshot subject the
    /// call that re-arms each ready descriptor. "epoll(7), bookkeeping": as for one ready.
    ShareReady,
    /// The benchmark of libevent: 100 of n pipes are readable. For each byte read from a pipe one is
    /// written to the next pipe, until 1,000 more bytes have been written. The time per byte,
    /// reading and writing included.
    ActivePipes,
    /// Beside n idle Unix sockets a connection is created, registered, written to, waited for, read,
    /// unregistered and closed. The time of all that.
    Churn,
    /// A new object is created, n Unix sockets are registered, one of which is ready, the object is
    /// polled once with timeout 0, and dropped. The time of all that. poll(2), rustix and
    /// `pollset::poll` have their array on the stack, popol reserves its capacity beforehand. pollset
    /// registers all sockets in one call (`extend`); with an engine forced, one after the other.
    Transient,
    /// An array of n Unix sockets, one of which is ready, is polled by one call. The time of the call,
    /// with timeout 0, with no timeout, and with a timeout of 1 s. The array is made beforehand.
    OneShot,
    /// k of n Unix sockets are ready and stay so, evenly spread: one, 10 % and all. The time of a wait
    /// without a timeout, and of adding 1 to a counter in the value of each event's registration. A
    /// value has 64 bytes. "HashMap" is that of the standard library, by descriptor number; "Vec" is
    /// indexed by the token of a registration, or by the place in the array. "PollSet alone" looks at
    /// each event and has no values. In a last chart one more descriptor is registered with a value and
    /// unregistered, without a wait in between.
    Values,
    /// One of n Unix sockets is ready. Before each wait its registration is modified: in turn to
    /// reading and writing, and to reading alone.
    Modify,
    /// A TCP server with 100 active and n idle clients: each active one sends 32 bytes, and sends
    /// again when they come back. Further charts have 10 active clients, and one. Server and clients
    /// are two processes, each with a CPU of its own. The servers of all subjects run during the
    /// whole measurement, and their clients take turns.
    Echo,
    /// The same with four whole programs, 100 active clients and n idle ones: the echo servers of the
    /// examples, in Rust and in C, and those of the tests in C on bare poll(2) and epoll(7), each
    /// compiled with `cc -O2`. Each is written as one would for its interface.
    EchoPrograms,
    /// n eventfds are registered with a new object, which is polled once with timeout 0 and dropped:
    /// the time per descriptor. Then the heap memory of the object, per descriptor, after pollset has
    /// settled on an engine. Memory of the kernel is not included.
    Registration,
    /// One of n eventfds is ready. The time of a wait on epoll with the audit, the search for
    /// descriptors that were closed without being unregistered: at its default rate, and at the slow
    /// rate of about one pass per second. Bare epoll(7) makes no such search.
    Audit,
    /// One of n eventfds is ready. Each wait, without a timeout, is timed by itself; one in 500
    /// comes right after 30 ms of other work, which writes to 64 MiB and so evicts the caches.
    /// Elapsed time of the longest waits: with the audit at its default and at its slow rate, and of
    /// bare epoll(7). A sample is one statistic of a round of 20,000 waits (5,000 in a quick run).
    Longest,
    /// 100 descriptors with numbers up to n; one is ready. select(2) scans the bits of all numbers
    /// up to the highest, poll(2) its array of 100. The time of a wait with timeout 0.
    Numbering,
    /// k of n eventfds, Unix sockets or TCP sockets are ready and stay so, evenly spread. The time of
    /// a wait, without a timeout and with timeout 0, of pollset and of its two engines, forced. The
    /// first round begins after 1,000 waits, or 3 s. The regret is pollset's time divided by that of
    /// the better engine; more than 1.10 and 40 ns are over the target.
    Choice,
    /// One of n Unix sockets is ready for a second, then all or half of them are ready for a second.
    /// The time of such a cycle: each subject makes the same number of waits in it, as many as the
    /// better engine makes in that time. The regret is pollset's time divided by the sum of the
    /// times of the better engine in each phase; more than 1.25 is over the target. A phase that
    /// takes two seconds is cut short, and its time extrapolated. In a quick run a phase takes a
    /// quarter of the time.
    Changing,
}

impl Workload {
    pub fn measure(self, run: &Run) -> Result<Vec<Chart>> {
        match self {
            Self::OneReady => ready::one_ready(run),
            Self::ShareReady => ready::share_ready(run),
            Self::ActivePipes => active_pipes::measure(run),
            Self::Churn => churn::measure(run),
            Self::Transient => transient::measure(run),
            Self::OneShot => one_shot::measure(run),
            Self::Values => values::measure(run),
            Self::Modify => modify::measure(run),
            Self::Echo => echo::measure(run),
            Self::EchoPrograms => echo::measure_programs(run),
            Self::Registration => registration::measure(run),
            Self::Audit => audit::measure(run),
            Self::Longest => longest::measure(run),
            Self::Numbering => numbering::measure(run),
            Self::Choice => choice::measure(run),
            Self::Changing => changing::measure(run),
        }
    }
}
