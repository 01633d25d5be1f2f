//! A short run of the fuzzer, and the programs that have found something, or might.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Command;

/// Runs the command; returns what it says.
#[track_caller]
fn fuzz(args: impl IntoIterator<Item = impl Into<std::ffi::OsString>>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollset-fuzz"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(args.into_iter().map(Into::into));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}{error}", output.status);
    said
}

fn random_programs(engine: &str, count: &str) -> String {
    fuzz(["--seed", "1", "--duration", "10m", "--programs", count, "--engine", engine])
}

/// How many of a hundred waits were on epoll.
fn share_on_epoll(said: &str) -> u32 {
    let (before, _) = said.split_once(" % of them on epoll").expect(said);
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn random_programs_get_the_kernels_answers() {
    let said = random_programs("auto", "120");
    assert!(cfg!(pollset_portable) || share_on_epoll(&said) >= 10, "{said}");
}

#[test]
fn random_programs_on_poll_get_the_kernels_answers() {
    assert_eq!(share_on_epoll(&random_programs("poll", "80")), 0);
}

#[test]
fn random_programs_on_epoll_get_the_kernels_answers() {
    let said = random_programs("epoll", "60");
    assert!(cfg!(pollset_portable) || share_on_epoll(&said) >= 90, "{said}");
}

#[test]
fn the_programs_that_are_kept_get_the_kernels_answers() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let entries = std::fs::read_dir(directory).unwrap();
    let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let count = files.len();
    assert_eq!(fuzz(files).lines().filter(|line| line.ends_with(": right")).count(), 3 * count);
}
