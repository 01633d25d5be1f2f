//! `--all`.

use crate::util::{assert_prints, assert_times_out, listen, sh, stderr, stdout};

#[test]
fn all_targets_are_waited_for() {
    let (_listener, port) = listen();
    assert_prints(
        &format!(
            "mkfifo a; exec 3<>a; (sleep 0.3; echo x >&3) & (sleep 0.6; touch b) &
             wait --all --timeout 30s tcp:127.0.0.1:{port} 3 b:exists | sort"
        ),
        &format!("3 in\nb exists\ntcp:127.0.0.1:{port} out\n"),
    );
}

#[test]
fn target_that_was_ready_once_is_not_waited_for_again() {
    assert_prints(
        "mkfifo a b; exec 3<>a 4<>b; echo x >&3
         (sleep 0.3; read -r line <&3; echo y >&4) & wait --all --timeout 30s 3 4",
        "3 in\n4 in\n",
    );
}

#[test]
fn missing_targets_are_reported_at_the_timeout() {
    let output = sh("mkfifo a b; exec 3<>a 4<>b; echo x >&3
         wait --all --timeout 300ms 3 4 tcp:127.0.0.1:1 ./nothing unix:nothing.sock");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stdout(&output), "3 in\n");
    assert_eq!(
        stderr(&output),
        "pollset: 4: not ready\n\
         pollset: tcp:127.0.0.1:1: Connection refused\n\
         pollset: ./nothing: No such file or directory\n\
         pollset: unix:nothing.sock: No such file or directory\n"
    );
}

#[test]
fn line_is_printed_as_soon_as_its_target_is_ready() {
    // The second target appears only after the first line was read.
    assert_prints(
        "wait --all --timeout 30s /:exists a:exists |
         while read -r line; do echo \"$line\"; touch a; done",
        "/ exists\na exists\n",
    );
}

#[test]
fn timeout_0_asks_each_target_once() {
    assert_prints(
        "mkfifo a; exec 3<>a; echo x >&3; wait --all -t 0 3 /:exists",
        "3 in\n/ exists\n",
    );
    assert_times_out("mkfifo a; exec 3<>a; wait --all -t 0 3", "pollset: 3: not ready\n");
}

#[test]
fn wait_goes_on_when_the_output_pipe_is_closed() {
    let output =
        sh("{ sleep 0.3; wait --all --timeout 500ms /:exists a:exists; echo $? >status; } | true
         cat status");
    assert_eq!(stdout(&output), "1\n", "{output:?}");
    assert_eq!(stderr(&output), "pollset: a: doesn't exist\n");
}
