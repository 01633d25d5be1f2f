//! Tests in a process of their own, and forked children.
//!
//! A child has a copy of every open descriptor. If tests forked while others run, a pipe whose writer
//! another test closes would hang up only when that child ends. So only processes that run a single
//! test fork, and no test closes a descriptor while such a process is started.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

/// Locked for writing while a process is started, and for reading while a descriptor is closed.
pub(crate) static SPAWNING: RwLock<()> = RwLock::new(());

/// Set in the process of a single test.
const ALONE: &str = "POLLSET_TEST_ALONE";

/// Seconds after which a test in its own process, or a forked child, is killed.
const HANG_SECONDS: u32 = 120;

/// Whether tests whose length is adjustable may take minutes.
pub fn is_long() -> bool {
    std::env::var_os("POLLSET_LONG").is_some()
}

/// How many times slower this machine is than the tests expect, as in an emulator: the value of
/// `POLLSET_SLOWNESS`, or 1.
pub fn slowness() -> u32 {
    std::env::var("POLLSET_SLOWNESS").map_or(1, |times| times.parse().expect("POLLSET_SLOWNESS"))
}

/// Runs `test`, the whole body of a test, in a process in which no other test runs.
pub fn in_own_process<F: FnOnce()>(test: F) {
    in_own_process_for(Duration::ZERO, test);
}

/// As [`in_own_process`], for a test that takes this much time by design.
pub fn in_own_process_for<F: FnOnce()>(time: Duration, test: F) {
    if is_alone() {
        kill_after(HANG_SECONDS + time.as_secs() as u32);
        return test();
    }
    let name = name_of_test::<F>();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ALONE, "1").stdout(Stdio::piped());

    let mut output = vec![0];
    let mut child = {
        let _no_test_closes = SPAWNING.write().unwrap_or_else(PoisonError::into_inner);
        let mut child = command.spawn().unwrap();
        // When the child writes, exec has closed its copies of the descriptors.
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

/// `crate::module::test::{{closure}}` without the first and the last part.
fn name_of_test<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let name = path.split_once("::").unwrap().1;
    name.strip_suffix("::{{closure}}").unwrap()
}

/// Has the kernel kill this process after this many seconds, or more on a slow machine, by `SIGALRM`.
pub fn kill_after(seconds: u32) {
    // SAFETY: it takes a number. The signal has no handler, so it ends the process.
    unsafe { libc::alarm(seconds.saturating_mul(slowness())) };
}

/// Waits until a child of this process ends.
#[track_caller]
pub fn wait_for_exit(child: Pid) -> WaitStatus {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            outcome => return outcome.expect("it is a child").expect("it has ended").1,
        }
    }
}

/// A forked child.
#[must_use]
pub struct Child(Pid);

impl Child {
    /// Forks a child that runs `body` and ends.
    pub fn run(body: impl FnOnce()) -> Self {
        match Side::fork() {
            Side::Parent(child) => child,
            Side::Child => run_and_exit_child(body),
        }
    }

    pub fn pid(&self) -> Pid {
        self.0
    }

    /// Waits until the child ends, and fails if it has panicked.
    #[track_caller]
    pub fn join(self) {
        let status = wait_for_exit(self.0);
        assert_eq!(status.exit_status(), Some(0), "a forked child: {status:?}");
    }
}

/// The side of a fork on which this process is.
pub enum Side {
    Parent(Child),
    /// Must end with [`run_and_exit_child`].
    Child,
}

impl Side {
    pub fn fork() -> Self {
        assert!(is_alone(), "only a test that runs alone forks");
        // SAFETY: the other threads of this process only wait, so no lock is held, and the child
        // can do what the parent could.
        match unsafe { libc::fork() } {
            0 => {
                kill_after(HANG_SECONDS);
                Self::Child
            }
            pid => Self::Parent(Child(Pid::from_raw(pid).expect("fork succeeds"))),
        }
    }
}

/// Runs the rest of a forked child, and ends it: with status 0, or 101 after a panic.
pub fn run_and_exit_child(body: impl FnOnce()) -> ! {
    let status = if catch_unwind(AssertUnwindSafe(body)).is_ok() { 0 } else { 101 };
    // SAFETY: it ends the process, without running the parent's exit handlers.
    unsafe { libc::_exit(status) }
}
