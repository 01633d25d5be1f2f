//! Runs a program in a forked child: a crash, a hang, a leak or a lowered limit stays there.

use std::panic;

use pollset::Engine;
use pollset_testkit::open_fds::open_fds;
use pollset_testkit::process::{kill_after, run_and_exit_child, wait_for_exit};

use crate::{Program, SharedCounts, World, raw};

/// Seconds after which a program counts as hanging. None takes a tenth of that.
const HANG_SECONDS: u32 = 60;

/// Runs `program` on a set with this engine in a forked child.
///
/// # Errors
///
/// A description of the failure: a result that differs from the kernel's, a panic, a crash, a hang,
/// or a descriptor that the program left open or closed by mistake.
pub fn run_in_child(
    program: &Program,
    engine: Option<Engine>,
    counts: &'static SharedCounts,
) -> Result<(), String> {
    match raw::fork() {
        None => run_and_exit(counts, || {
            assert_no_fd_leak(|| World::new(engine, counts).run(program));
        }),
        Some(child) => {
            let status = wait_for_exit(child);
            let reason = counts.take_failure();
            match (status.exit_status(), status.terminating_signal()) {
                (Some(0), _) if reason.is_empty() => Ok(()),
                (_, Some(libc::SIGALRM)) => Err(format!("the program hangs {reason}")),
                (Some(_), _) => Err(reason),
                _ => Err(format!("the process ended with {status:?} {reason}")),
            }
        }
    }
}

/// Runs `body` in a forked child, and ends the child.
pub(crate) fn run_and_exit(counts: &'static SharedCounts, body: impl FnOnce()) -> ! {
    kill_after(HANG_SECONDS);
    panic::set_hook(Box::new(|info| counts.set_failure(&info.to_string())));
    run_and_exit_child(body)
}

/// Runs `body`, and compares the open descriptors of the process before and after.
///
/// # Panics
///
/// If they differ.
pub fn assert_no_fd_leak(body: impl FnOnce()) {
    let before = open_fds();
    body();
    assert_eq!(open_fds(), before, "open descriptors after and before");
}
