//! Tests in a process of their own, and forked children.
//!
//! A child holds a copy of every descriptor. If any test could be copied at any time, a pipe
//! whose writer it closes would hang up only when that child ends. So only processes that run a
//! single test fork, and while one of those is started, no test closes anything.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};

/// Written while a process is started, read while a descriptor is closed.
pub static SPAWNING: RwLock<()> = RwLock::new(());

const ALONE: &str = "POLLSET_TEST_ALONE";

/// Whether tests that run for a time may take minutes.
pub fn is_long() -> bool {
    std::env::var_os("POLLSET_LONG").is_some()
}

/// Runs `test`, the whole body of a test, in a process in which no other test runs.
pub fn alone<F: FnOnce()>(test: F) {
    alone_for(Duration::ZERO, test);
}

/// The same for a test that takes so much time by itself.
pub fn alone_for<F: FnOnce()>(time: Duration, test: F) {
    if is_alone() {
        set_watchdog(time);
        return test();
    }
    let name = name_of_test::<F>();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ALONE, "1").stdout(Stdio::piped());

    let mut output = vec![0];
    let mut child = {
        let _nobody_closes = SPAWNING.write().unwrap_or_else(PoisonError::into_inner);
        let mut child = command.spawn().unwrap();
        // Once it writes, it has closed its copies.
        child.stdout.as_mut().unwrap().read_exact(&mut output).unwrap();
        child
    };
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    let status = child.wait().unwrap();
    let output = String::from_utf8_lossy(&output);
    assert!(status.success() && output.contains("1 passed"), "{name}: {status}\n{output}");
}

fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// `crate::module::test::{{closure}}` without its ends.
fn name_of_test<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let name = path.split_once("::").unwrap().1;
    name.strip_suffix("::{{closure}}").unwrap()
}

/// Whoever doesn't end by itself is killed.
fn set_watchdog(time: Duration) {
    // SAFETY: it takes a number. The signal ends the process.
    unsafe { libc::alarm(120 + time.as_secs() as u32) };
}

/// A forked child.
#[must_use]
pub struct Child(Pid);

impl Child {
    /// Forks a child that runs `body` and ends.
    pub fn run(body: impl FnOnce()) -> Self {
        match Side::fork() {
            Side::Parent(child) => child,
            Side::Child => end_with(body),
        }
    }

    pub fn pid(&self) -> Pid {
        self.0
    }

    /// Waits until it ends, without a panic.
    #[track_caller]
    pub fn join(self) {
        loop {
            match waitpid(Some(self.0), WaitOptions::empty()) {
                Err(rustix::io::Errno::INTR) => continue,
                outcome => {
                    let (_, status) = outcome.unwrap().unwrap();
                    assert_eq!(status.exit_status(), Some(0), "a forked child: {status:?}");
                    return;
                }
            }
        }
    }
}

/// Which side of a fork this is.
pub enum Side {
    Parent(Child),
    /// Must end with [`end_with`].
    Child,
}

impl Side {
    pub fn fork() -> Self {
        assert!(is_alone(), "only a test that runs alone forks");
        // SAFETY: in this process nobody else is doing anything but wait, so no lock is held, and
        // the child can go on as the parent could.
        match unsafe { libc::fork() } {
            0 => {
                set_watchdog(Duration::ZERO);
                Self::Child
            }
            pid => Self::Parent(Child(Pid::from_raw(pid).expect("it forks"))),
        }
    }
}

/// Runs the rest of a forked child.
pub fn end_with(body: impl FnOnce()) -> ! {
    let status = if catch_unwind(AssertUnwindSafe(body)).is_ok() { 0 } else { 101 };
    // SAFETY: it only ends the process, without what the parent has registered for its own end.
    unsafe { libc::_exit(status) }
}
