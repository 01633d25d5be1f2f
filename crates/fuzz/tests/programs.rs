//! A short run of the fuzzer, and the programs that have found a bug, or test a known trap.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Command;

use pollset_testkit::process::slowness;

/// Runs the command, and returns its standard output.
#[track_caller]
fn fuzz(args: impl IntoIterator<Item = impl Into<std::ffi::OsString>>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollset-fuzz"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(args.into_iter().map(Into::into));
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}{stderr}", output.status);
    stdout
}

fn random_programs(engine: &str, count: &str) -> String {
    fuzz(["--seed", "1", "--duration", "10m", "--programs", count, "--engine", engine])
}

/// The percentage of waits that were on epoll.
fn share_on_epoll(stdout: &str) -> u32 {
    let (before, _) = stdout.split_once(" % on epoll").expect(stdout);
    before.rsplit('(').next().unwrap().parse().unwrap()
}

#[test]
fn random_programs_match_the_kernel() {
    let stdout = random_programs("auto", "120");
    // An emulator makes epoll dearer, as the set does more itself.
    let least = if slowness() > 1 { 1 } else { 10 };
    assert!(cfg!(pollset_portable) || share_on_epoll(&stdout) >= least, "{stdout}");
}

#[test]
fn random_programs_on_poll_match_the_kernel() {
    assert_eq!(share_on_epoll(&random_programs("poll", "80")), 0);
}

#[test]
fn random_programs_on_epoll_match_the_kernel() {
    let stdout = random_programs("epoll", "60");
    assert!(cfg!(pollset_portable) || share_on_epoll(&stdout) >= 90, "{stdout}");
}

#[test]
fn regressions_match_the_kernel() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let entries = std::fs::read_dir(directory).unwrap();
    let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let count = files.len();
    assert_eq!(fuzz(files).lines().filter(|line| line.ends_with(": ok")).count(), 3 * count);
}
