//! Helpers that the tests of the library and the fuzzer share.

#![cfg(target_os = "linux")]

pub mod fd;
pub mod kinds;
pub mod limit;
pub mod number;
pub mod open_fds;
pub mod oracle;
pub mod process;
pub mod signal;
pub mod toggle;
pub mod wait;

use pollset::{Builder, Engine, Event, PollFlags, PollSet};
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::LazyLock;
use std::time::Duration;

/// A timeout longer than any wait that a descriptor or another thread ends.
pub const LONG: Duration = Duration::from_secs(10);

pub const NOW: Duration = Duration::ZERO;

/// Higher than any open descriptor.
pub const NEVER_OPENED: RawFd = 1 << 30;

/// The engine of all sets of the suite: `POLLSET_ENGINE`, or none: they choose.
pub fn engine() -> Option<Engine> {
    static ENGINE: LazyLock<Option<Engine>> =
        LazyLock::new(|| match std::env::var("POLLSET_ENGINE").as_deref() {
            Err(_) | Ok("auto") => None,
            Ok("poll") => Some(Engine::Poll),
            Ok("epoll") => Some(Engine::Epoll),
            Ok(other) => panic!("POLLSET_ENGINE must be auto, poll or epoll, not {other:?}"),
        });
    *ENGINE
}

/// Whether sets of the suite are on epoll from their first wait on.
pub fn is_epoll_forced() -> bool {
    engine() == Some(Engine::Epoll) && !cfg!(pollset_portable)
}

/// Prints that the running test is skipped, and why.
pub fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not with eprintln!, whose output is hidden if the test passes.
    let line = format!("SKIPPED: {test} {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

pub fn new_set() -> PollSet {
    Builder::new().engine(engine()).build()
}

pub fn event(fd: &impl AsRawFd, revents: PollFlags) -> Event {
    let fd = fd.as_raw_fd();
    Event { fd, revents }
}

pub fn set_of<'a, T: AsRawFd + 'a>(
    fds: impl IntoIterator<Item = &'a T>,
    mask: PollFlags,
) -> PollSet {
    let set = new_set();
    for fd in fds {
        set.register(fd, mask).unwrap();
    }
    set
}

/// A set of descriptors that are not open. All are ready, with POLLNVAL.
pub fn set_of_never_opened(count: i32) -> PollSet {
    let set = new_set();
    for i in 0..count {
        set.register(NEVER_OPENED + i, PollFlags::IN).unwrap();
    }
    set
}

/// `PROPTEST_CASES` overrides the number of cases.
pub fn cases(cases: u32) -> Config {
    let requested = std::env::var("PROPTEST_CASES");
    Config {
        cases: requested.map_or(cases, |count| count.parse().unwrap()),
        failure_persistence: None,
        max_shrink_time: 10_000,
        ..Config::default()
    }
}

/// Mostly masks that are common in programs, and sometimes any bits.
pub fn masks() -> impl Strategy<Value = PollFlags> {
    use PollFlags as F;
    let common = prop::sample::select(vec![
        F::IN | F::PRI | F::OUT,
        F::IN,
        F::OUT,
        F::IN | F::OUT,
        F::IN | F::RDHUP,
        F::PRI,
        F::empty(),
    ]);
    prop_oneof![
        3 => common,
        1 => any::<u16>().prop_map(PollFlags::from_bits_retain),
    ]
}
