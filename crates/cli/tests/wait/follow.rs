//! `--follow`.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::util::{assert_prints, assert_times_out, listen, patience, sh, stdout};

#[test]
fn follow_reports_each_change_once_until_all_have_hung_up() {
    assert_prints(
        "(sleep 0.3; echo a; sleep 0.3; echo b; sleep 0.3) | wait --follow 0",
        "0 in\n0 in,hup\n",
    );
}

#[test]
fn follow_reports_new_data_after_the_old_was_read() {
    assert_prints(
        &format!(
            "mkfifo a; exec 3<>a
             wait --follow --timeout {}s 3 >lines &
             for word in one two; do
                 sleep 0.3; echo $word >&3; sleep 0.3; read -r line <&3
             done
             while kill -0 $! 2>/dev/null; do sleep 0.1; done; cat lines",
            2 * patience()
        ),
        "3 in\n3 in\n",
    );
}

#[test]
fn follow_ends_at_the_timeout() {
    assert_prints("mkfifo a; exec 3<>a; echo x >&3; wait --follow --timeout 300ms 3", "3 in\n");
    assert_times_out("mkfifo a; exec 3<>a; wait --follow --timeout 300ms 3", "");
}

#[test]
fn follow_ends_without_error_when_its_output_pipe_is_closed() {
    let output = sh("mkfifo a b; exec 3<>a 4<>b
         (sleep 0.3; echo x >&3; sleep 0.3; echo x >&4) &
         { wait --follow 3 4; echo $? >status; } | head -n 1; cat status");
    assert_eq!(stdout(&output), "3 in\n0\n", "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn follow_with_timeout_0_polls_once() {
    assert_prints("mkfifo a; exec 3<>a; echo x >&3; wait --follow --timeout 0 3", "3 in\n");
    assert_times_out("mkfifo a; exec 3<>a; wait --follow --timeout 0 3", "");
}

#[test]
fn follow_prints_json() {
    let output = sh("{ sleep 0.3; echo a; sleep 0.3; } | wait --follow --json 0");
    let lines = stdout(&output);
    let lines: Vec<_> =
        lines.lines().map(|line| line.split_once(",\"time\":").unwrap().0).collect();
    assert_eq!(
        lines,
        [
            "{\"index\":0,\"target\":\"0\",\"events\":[\"in\"]",
            "{\"index\":0,\"target\":\"0\",\"events\":[\"in\",\"hup\"]",
        ]
    );
}

/// The last events that `wait --follow` prints for a service that calls `end` on its connection.
fn last_followed_events(end: impl FnOnce(TcpStream) + Send + 'static, events: &str) -> String {
    let (listener, port) = listen();
    let service = thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        thread::sleep(Duration::from_millis(200));
        end(client);
    });
    let output = sh(&format!("wait --follow tcp:127.0.0.1:{port}:{events}"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    service.join().unwrap();
    let lines = stdout(&output);
    lines.trim_end().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn follow_ends_when_a_tcp_service_closes() {
    assert_eq!(last_followed_events(drop, "in"), "in,rdhup");
    assert_eq!(last_followed_events(drop, "out"), "out,rdhup");
}

#[test]
fn follow_ends_when_a_tcp_service_resets() {
    let reset = |client: TcpStream| {
        set_socket_linger(client.as_fd(), Some(Duration::ZERO)).unwrap();
    };
    let events = last_followed_events(reset, "in");
    assert!(events.contains("err"), "{events}");
}

/// Follows an inherited connection whose peer has shut down its side.
fn follow_half_closed(target: &str, timeout: &str) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    Command::new(env!("CARGO_BIN_EXE_pollset"))
        .args(["wait", "--follow", "--timeout", timeout, target])
        .stdin(OwnedFd::from(theirs))
        .output()
        .unwrap()
}

#[test]
fn follow_ends_when_the_peer_of_an_inherited_connection_shuts_down() {
    let output = follow_half_closed("0", "876000h");
    assert_eq!(stdout(&output), "0 in,rdhup\n");
}

#[test]
fn follow_continues_if_an_inherited_connection_is_watched_for_out() {
    let start = Instant::now();
    let output = follow_half_closed("0:out", "500ms");
    assert!(start.elapsed() >= Duration::from_millis(500));
    assert_eq!(stdout(&output), "0 out,rdhup\n");
}
