//! No descriptor leaks: when a process that runs tests ends, the same descriptors are open as when
//! it began.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::OnceLock;

use crate::util::open_fds::open_fds;

static OPEN_BEFORE: OnceLock<BTreeMap<RawFd, String>> = OnceLock::new();

#[ctor::ctor(unsafe)]
fn record_open_fds() {
    OPEN_BEFORE.set(open_fds()).unwrap();
}

#[dtor::dtor(unsafe)]
fn compare_open_fds() {
    let (before, after) = (OPEN_BEFORE.get().unwrap(), &open_fds());
    if before != after {
        eprintln!("open before the tests: {before:#?}\nand after them: {after:#?}");
        // SAFETY: it takes a number, and ends the process, which is ending anyway.
        unsafe { libc::_exit(1) };
    }
}
