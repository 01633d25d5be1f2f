//! Runs `pollset wait` in a shell.

use std::io;
use std::net::TcpListener;
use std::process::{Command, Output};

use rustix::io::Errno;

/// A shell, in a new empty folder, that runs a script in which `wait` is `pollset wait`.
pub fn sh(script: &str) -> Output {
    run(Command::new("sh").arg("-c"), script)
}

fn run(shell: &mut Command, script: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let pollset = env!("CARGO_BIN_EXE_pollset");
    let script = format!(
        "pollset={pollset}
         wait() {{ '{pollset}' wait \"$@\"; }}
         sleep() {{ command sleep \"$(awk \"BEGIN {{ print $1 * {} }}\")\"; }}
         {script}",
        patience()
    );
    shell.arg(script).current_dir(folder.path()).output().unwrap()
}

/// How many times longer scripts sleep than they say: more than once if `POLLSET_SLOWNESS` says that
/// this machine is slow, as in an emulator, where programs start slowly.
pub fn patience() -> u32 {
    std::env::var("POLLSET_SLOWNESS").map_or(1, |times| times.parse::<u32>().unwrap().min(5))
}

/// Runs a script as root of namespaces of its own: it can mount files over /etc/hosts, and has a
/// network without any interface but lo, which is down. Returns `None` if that is not allowed here.
pub fn sh_in_namespaces(script: &str) -> Option<Output> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--net", "sh", "-c"]);
        command
    };
    let probe = "mount --bind /etc/hosts /etc/hosts && ip link set lo up";
    if unshare().arg(probe).output().is_ok_and(|output| output.status.success()) {
        return Some(run(&mut unshare(), script));
    }
    eprintln!("SKIPPED: namespaces are not allowed here, or unshare or ip is missing");
    None
}

#[track_caller]
pub fn assert_prints(script: &str, expected: &str) {
    assert_printed(&sh(script), expected);
}

#[track_caller]
pub fn assert_printed(output: &Output, expected: &str) {
    assert_eq!(stdout(output), expected, "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[track_caller]
pub fn assert_times_out(script: &str, expected: &str) {
    let output = sh(script);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(stderr(&output), expected);
}

#[track_caller]
pub fn assert_usage_error(script: &str, advice: &str) {
    let output = sh(script);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(stderr(&output).contains(advice), "{output:?}");
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The C library's text for an error, without its number.
pub fn text_of(error: Errno) -> String {
    let text = io::Error::from(error).to_string();
    text.split_once(" (os error").unwrap().0.to_owned()
}

/// A service, and its port.
pub fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port without a listener.
pub fn free_port() -> u16 {
    listen().1
}
