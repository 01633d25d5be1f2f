//! Runs this program again under callgrind, and reads the counts.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rlimit::Resource;

use crate::paths::{COUNTED, NOT_COUNTED};

const FD_LIMIT: u64 = 10_000;

/// The name of each path, and its instructions: the fewest of all calls, because the audit and
/// the samples of the policy, which depend on the time, can only add some.
pub fn count() -> Result<Vec<(String, u64)>> {
    // Under valgrind the limit can't be raised, and valgrind itself fails if it is in the millions.
    let hard = Resource::NOFILE.get_hard()?;
    Resource::NOFILE.set(FD_LIMIT.min(hard), hard)?;
    let program = env::current_exe()?;
    let profile = program.with_extension("callgrind");
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .args([program.as_os_str(), "run-paths".as_ref()])
        .stderr(Stdio::inherit())
        .output()
        .context("can't run valgrind")?;
    ensure!(child.status.success(), "valgrind: {}", child.status);
    let names = String::from_utf8(child.stdout)?;
    let profile = fs::read_to_string(profile)?;
    let mut totals = profile.lines().filter_map(|line| line.strip_prefix("totals: "));

    let mut counts: Vec<(String, u64)> = Vec::new();
    for name in names.lines() {
        let total = totals.next().context("callgrind has counted fewer calls than were made")?;
        let total: u64 = total.parse()?;
        match counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, fewest)) => *fewest = total.min(*fewest),
            None => counts.push((name.to_owned(), total)),
        }
    }
    counts.retain(|(name, _)| name != NOT_COUNTED);
    Ok(counts)
}

/// The tools and the C library that the counts depend on.
pub fn toolchain() -> Result<String> {
    let rustc = format!("rustc {}", rustc_version_runtime::version());
    // Empty with other C libraries.
    let libc = first_line("getconf", "GNU_LIBC_VERSION").unwrap_or_default();
    let valgrind = first_line("valgrind", "--version")?;
    Ok([env::consts::ARCH, &rustc, &libc, &valgrind].join(", "))
}

fn first_line(program: &str, argument: &str) -> Result<String> {
    let output = Command::new(program).arg(argument).output();
    let text = String::from_utf8(output.with_context(|| format!("can't run {program}"))?.stdout)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
