//! The line of progress, on a terminal.

use crate::util::{sh, stdout};

/// Runs `pollset wait` with arguments on a terminal of its own, and returns what it prints there.
fn on_terminal(arguments: &str) -> String {
    on_terminal_called("xterm", arguments)
}

fn on_terminal_called(name: &str, arguments: &str) -> String {
    let output = sh(&format!(
        "TERM={name} python3 -c 'import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
try:
    while data := os.read(terminal, 4096):
        os.write(1, data)
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' $pollset wait {arguments}"
    ));
    stdout(&output)
}

/// What a terminal shows in the end, without trailing blanks.
fn screen(printed: &str) -> Vec<String> {
    let lines = printed.split("\r\n").map(|line| {
        let line = line.rsplit(['\r']).find(|text| !text.is_empty()).unwrap_or("");
        line.replace("\u{1b}[2K", "").trim_end().to_owned()
    });
    lines.collect()
}

#[test]
fn line_names_missing_targets_and_the_time_left() {
    let printed = on_terminal("--all --timeout 1200ms / tcp:127.0.0.1:1 ./nothing");
    assert!(
        printed.contains("1s left, waiting for tcp:127.0.0.1:1 (Connection refused), ./nothing"),
        "{printed:?}"
    );
}

#[test]
fn line_is_erased_before_others_are_printed_and_at_the_end() {
    let printed = on_terminal("--timeout 1200ms tcp:127.0.0.1:1");
    let screen = screen(&printed);
    assert_eq!(screen, ["pollset: tcp:127.0.0.1:1: Connection refused", ""], "{printed:?}");
}

#[test]
fn short_wait_shows_no_line() {
    assert_eq!(on_terminal("/"), "/ in\r\n");
    assert_eq!(on_terminal("--quiet --timeout 800ms ./nothing"), "");
}

#[test]
fn terminal_that_can_not_erase_a_line_shows_none() {
    let printed = on_terminal_called("dumb", "--timeout 800ms ./nothing");
    assert_eq!(printed, "pollset: ./nothing: No such file or directory\r\n");
}

#[test]
fn control_characters_of_a_name_are_not_printed() {
    let printed = on_terminal("--timeout 800ms \"$(printf 'a\\033[31mb')\"");
    assert!(printed.contains("waiting for a?[31mb (No such file"), "{printed:?}");
    assert!(printed.contains("pollset: a?[31mb: No such file"), "{printed:?}");
    assert!(!printed.contains("\u{1b}[31m"), "{printed:?}");
}

#[test]
fn without_a_terminal_there_is_no_line() {
    let output = sh("wait --timeout 800ms ./nothing 2>&1");
    assert_eq!(stdout(&output), "pollset: ./nothing: No such file or directory\n");
}
