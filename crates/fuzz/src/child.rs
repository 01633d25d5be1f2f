//! A program in a process of its own: a crash, a hang, a leak, a lowered limit stay there.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use pollset::Engine;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use crate::{Program, SharedCounts, World, raw};

/// Seconds after which a program hangs: none takes a tenth of that.
const HANGS_AFTER: u32 = 60;

/// Runs `program` on a set with this engine in a forked child.
///
/// # Errors
///
/// What was wrong: an answer that is not the kernel's, a panic, a crash, a hang, or a descriptor
/// that was left open or closed.
pub fn run_in_child(
    program: &Program,
    engine: Engine,
    counts: &'static SharedCounts,
) -> Result<(), String> {
    match raw::fork() {
        None => end_with(counts, || {
            leaving_nothing_open(|| World::new(engine, counts).run(program));
        }),
        Some(child) => {
            let status = wait_for(child);
            let reason = counts.take_reason();
            match (status.exit_status(), status.terminating_signal()) {
                (Some(0), _) if reason.is_empty() => Ok(()),
                (_, Some(libc::SIGALRM)) => Err(format!("it hangs {reason}")),
                (Some(_), _) => Err(reason),
                _ => Err(format!("it ended with {status:?} {reason}")),
            }
        }
    }
}

/// Runs the rest of a forked child, and ends it.
pub(crate) fn end_with(counts: &'static SharedCounts, body: impl FnOnce()) -> ! {
    raw::end_after(HANGS_AFTER);
    panic::set_hook(Box::new(|info| counts.give_reason(&info.to_string())));
    let outcome = catch_unwind(AssertUnwindSafe(body));
    raw::exit(if outcome.is_ok() { 0 } else { 1 })
}

/// Waits until a child ends.
pub(crate) fn wait_for(child: Pid) -> WaitStatus {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            outcome => return outcome.expect("it is a child").expect("it is waited for").1,
        }
    }
}

/// Checks that `body` closes what it opens, and nothing else.
///
/// # Panics
///
/// If it doesn't.
pub fn leaving_nothing_open(body: impl FnOnce()) {
    let before = open_files();
    body();
    assert_eq!(open_files(), before, "the descriptors that are open, after and before");
}

/// The numbers that are open, and what they mean.
pub(crate) fn open_files() -> BTreeMap<RawFd, String> {
    let Ok(directory) = std::fs::read_dir("/proc/self/fd") else { return BTreeMap::new() };
    let files = directory.filter_map(|entry| {
        let entry = entry.ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        let file = std::fs::read_link(entry.path()).ok()?;
        Some((number, file.to_string_lossy().into_owned()))
    });
    let own = format!("/proc/{}/fd", std::process::id());
    files.filter(|(_, file)| *file != own).collect()
}
