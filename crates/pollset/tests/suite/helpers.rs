//! Helpers that several modules of the suite share.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Duration;

use pollset::{Builder, Engine, PollFlags, PollSet, Step, Waiting};
use rustix::time::{ClockId, clock_gettime};

use crate::util::fd::Fd;
use crate::util::kinds;

pub const MILLISECOND: Duration = Duration::from_millis(1);

/// Event counters (`eventfd`): idle if `value` is 0, otherwise readable.
pub fn event_counters(count: usize, value: u32) -> Vec<Fd> {
    (0..count).map(|_| kinds::eventfd(value)).collect()
}

/// A set with this engine in which `fds` are registered for `IN`.
pub fn set_with_engine<'a, T: AsRawFd + 'a>(
    engine: impl Into<Option<Engine>>,
    fds: impl IntoIterator<Item = &'a T>,
) -> PollSet {
    let set = Builder::new().engine(engine.into()).build();
    for fd in fds {
        set.register(fd, PollFlags::IN).unwrap();
    }
    set
}

/// Runs the short steps of a wait that they don't finish.
#[track_caller]
pub fn run_short_steps(waiting: &mut Waiting<'_>) {
    while waiting.is_short() {
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    }
}

/// The CPU time that this thread has used.
pub fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Opens files until the limit on descriptors is reached.
pub fn use_up_descriptors() -> Vec<File> {
    let files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!files.is_empty());
    files
}
