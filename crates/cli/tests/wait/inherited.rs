//! Sockets of a service manager.

use crate::util::{assert_prints, assert_usage_error};

/// Sets the variables as a service manager does, and runs `script` as its service.
fn service(names: &str, script: &str) -> String {
    format!(
        "export pollset; mkfifo a b; exec 3<>a 4<>b
         LISTEN_FDS=2 LISTEN_FDNAMES={names} sh -c 'export LISTEN_PID=$$; {script}'"
    )
}

#[test]
fn sockets_are_found_by_their_name() {
    let script = "echo x >&4; exec $pollset wait listen:db listen:web";
    assert_prints(&service("web:db", script), "listen:db in\n");
}

#[test]
fn several_sockets_can_have_the_same_name() {
    let script = "echo x >&3; echo x >&4; exec $pollset wait --json listen:web";
    let script = format!("{} | cut -d, -f1-3", service("web:web", script));
    let line = "{\"index\":0,\"target\":\"listen:web\",\"events\":[\"in\"]\n";
    assert_prints(&script, &line.repeat(2));
}

#[test]
fn shell_that_the_service_manager_has_started_can_wait() {
    let script = "echo x >&3; $pollset wait listen:; echo $?";
    assert_prints(&service("web:db", script), "listen: in\n0\n");
}

#[test]
fn command_gets_the_sockets() {
    let script = "echo hi >&3; exec $pollset wait -q listen:web -- ./command";
    assert_prints(
        &format!(
            "printf '#!/bin/sh\\ntest $LISTEN_PID = $$ && head -n 1 <&3' >command
             chmod +x command; {}",
            service("web:db", script)
        ),
        "hi\n",
    );
}

#[test]
fn missing_sockets_are_a_usage_error() {
    assert_usage_error("wait listen:", "needs sockets from a service manager");
    assert_usage_error(
        "exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=1 $pollset wait listen:",
        "needs sockets from a service manager",
    );
    let script = "exec $pollset wait listen:ftp";
    assert_usage_error(&service("web:db", script), "its names are web, db");
    let script = "exec $pollset wait listen: 3";
    assert_usage_error(&service("web:db", script), "given twice");
    let script = "exec 4<&-; exec $pollset wait listen:";
    assert_usage_error(&service("web:db", script), "4 is not open");
}
