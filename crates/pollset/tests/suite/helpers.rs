//! Helpers that several modules of the suite share.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pollset::{Builder, Engine, PollFlags, PollSet, Step, Waiting};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
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
    engine: Engine,
    fds: impl IntoIterator<Item = &'a T>,
) -> PollSet {
    let set = Builder::new().engine(engine).build();
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

/// Sets the soft limit on descriptors. Descriptors above it stay open.
pub fn set_descriptor_limit(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), ..limit }).unwrap();
}

/// Opens files until the limit on descriptors is reached.
pub fn use_up_descriptors() -> Vec<File> {
    let files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!files.is_empty());
    files
}

/// The open descriptors of this process in order, with the targets of their links in `/proc`.
pub fn open_fds() -> Vec<(RawFd, PathBuf)> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let link = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.parse().ok()?;
        Some((number, fs::read_link(&path).ok()?))
    };
    // Without the descriptor that lists the directory.
    let listing = format!("/proc/{}/fd", std::process::id());
    let mut open: Vec<_> = entries.filter_map(link).collect();
    open.retain(|(_, target)| target != Path::new(&listing));
    open.sort();
    open
}
