//! Runs `pollset wait` in a shell.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

/// Runs a script in which `wait` is `pollset wait`, in a new empty folder.
fn sh(script: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let pollset = env!("CARGO_BIN_EXE_pollset");
    Command::new("sh")
        .args(["-c", &format!("wait() {{ '{pollset}' wait \"$@\"; }}\n{script}")])
        .current_dir(folder.path())
        .output()
        .unwrap()
}

#[track_caller]
fn assert_prints(script: &str, expected: &str) {
    let output = sh(script);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[track_caller]
fn assert_times_out(script: &str, stderr: &str) {
    let output = sh(script);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
}

#[track_caller]
fn assert_usage_error(script: &str, advice: &str) {
    let output = sh(script);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(advice), "{output:?}");
}

#[test]
fn data_in_a_pipe_is_reported() {
    assert_prints("(sleep 0.2; echo hi; sleep 1) | wait 0:in", "0 in\n");
}

#[test]
fn end_of_a_pipe_is_reported() {
    assert_prints("true | { sleep 0.2; wait 0; }", "0 hup\n");
}

#[test]
fn wait_reads_no_data() {
    assert_prints("echo hi | { wait 0 >&2; cat; }", "hi\n");
}

#[test]
fn ready_targets_are_printed_in_the_order_given() {
    assert_prints(
        "mkfifo a b c; exec 3<>a 4<>b 5<>c; echo x >&3; echo x >&5; wait 5 4 3:in,out",
        "5 in\n3 in,out\n",
    );
}

#[test]
fn timeout_is_exit_status_1_and_never_early() {
    let start = Instant::now();
    assert_times_out("mkfifo a; exec 3<>a; wait --timeout 300ms 3", "");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn timeout_0_polls_once() {
    assert_times_out("mkfifo a; exec 3<>a; wait --timeout 0 3", "");
    assert_prints("mkfifo a; exec 3<>a; echo x >&3; wait --timeout 0 3", "3 in\n");
}

#[test]
fn fifo_can_be_given_by_its_path() {
    assert_prints(
        "mkfifo a; (sleep 0.2; exec >a; echo hi; sleep 1) & wait --timeout 9s ./a",
        "./a in\n",
    );
}

#[test]
fn path_with_a_colon_needs_events_or_a_final_colon() {
    assert_prints("echo hi >a:in; wait a:in:", "a:in in\n");
    assert_prints("echo hi >a:in; wait a:in:out", "a:in out\n");
}

#[test]
fn fifo_is_writable_once_it_has_a_reader() {
    assert_prints("mkfifo a; (sleep 0.3; cat a >b) & wait --timeout 9s a:out", "a out\n");
    assert_times_out(
        "mkfifo a; wait --timeout 300ms a:out",
        "pollset: a: the FIFO has no reader\n",
    );
}

#[test]
fn regular_file_is_always_ready() {
    assert_prints("echo hi >a; wait a:in,pri,out", "a in,out\n");
}

#[test]
fn json_is_one_object_per_line() {
    assert_prints(
        "mkfifo a; exec 3<>a; echo hi >&3; wait --json 3:in,out",
        "{\"index\":0,\"target\":\"3\",\"events\":[\"in\",\"out\"]}\n",
    );
}

#[test]
fn index_in_json_is_the_position_on_the_command_line() {
    assert_prints(
        "mkfifo a b; exec 3<>a 4<>b; echo hi >&3; wait --json 4 3",
        "{\"index\":1,\"target\":\"3\",\"events\":[\"in\"]}\n",
    );
}

#[test]
fn closed_output_pipe_is_no_failure() {
    let output = sh("{ sleep 0.3; wait 0 </dev/null; echo $? >status; } | true; cat status");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn full_output_device_is_a_system_error() {
    for option in ["", "--follow", "--json"] {
        let output = sh(&format!("wait {option} 0 </dev/null >/dev/full"));
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("can't write to standard output"), "{output:?}");
    }
}

#[test]
fn dev_null_replaces_a_closed_standard_descriptor() {
    assert_prints("wait 0 <&-", "0 in\n");
}

#[test]
fn closed_descriptor_is_a_usage_error() {
    assert_usage_error("wait 7", "descriptor 7 is not open");
}

#[test]
fn descriptor_given_twice_is_a_usage_error() {
    assert_usage_error("wait 0:in 0:out", "given twice; join its events: 0:in,out");
}

#[test]
fn usage_errors_say_what_to_type() {
    assert_usage_error("wait", "TARGET");
    assert_usage_error("wait 0:readable", "the events are in, pri, out");
    assert_usage_error("wait --timeout 5 0", "5s for seconds, 5ms for milliseconds");
    assert_usage_error("wait tcp:localhost", "tcp:HOST:PORT");
    assert_usage_error("wait ./nothing-here", "can't open ./nothing-here");
}

#[test]
fn tcp_service_is_ready_when_it_accepts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_prints(&format!("wait tcp:localhost:{port}"), &format!("tcp:localhost:{port} out\n"));
}

#[test]
fn timeout_0_connects_to_a_tcp_service_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for option in ["", "--follow"] {
        assert_prints(
            &format!("wait {option} --timeout 0 tcp:localhost:{port}"),
            &format!("tcp:localhost:{port} out\n"),
        );
    }
    drop(listener);
    assert_times_out(
        &format!("wait --timeout 0 tcp:127.0.0.1:{port}"),
        &format!("pollset: tcp:127.0.0.1:{port}: Connection refused (os error 111)\n"),
    );
}

#[test]
fn failure_to_start_a_thread_is_a_system_error() {
    let targets: Vec<_> = (1..=400).map(|port| format!("tcp:127.0.0.1:{port}:pri")).collect();
    let output = sh(&format!("ulimit -v 300000; wait {}", targets.join(" ")));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("can't start a thread for tcp:127.0.0.1:"), "{output:?}");
}

#[test]
fn data_from_a_tcp_service_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"220 ready\r\n").unwrap();
        client.read(&mut [0])
    });
    assert_prints(&format!("wait tcp:127.0.0.1:{port}:in"), &format!("tcp:127.0.0.1:{port} in\n"));
}

/// A port without a listener.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn refused_tcp_connection_is_retried() {
    let port = free_port();
    let up_later = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        TcpListener::bind(("127.0.0.1", port)).unwrap().accept().unwrap();
    });
    assert_prints(
        &format!("wait --timeout 20s tcp:127.0.0.1:{port}"),
        &format!("tcp:127.0.0.1:{port} out\n"),
    );
    up_later.join().unwrap();
}

#[test]
fn refused_tcp_connection_is_reported_at_the_timeout() {
    let port = free_port();
    assert_times_out(
        &format!("wait --timeout 300ms tcp:127.0.0.1:{port}"),
        &format!("pollset: tcp:127.0.0.1:{port}: Connection refused (os error 111)\n"),
    );
}

#[test]
fn unknown_host_ends_with_the_timeout() {
    let output = sh("wait --timeout 300ms tcp:no-such-host.invalid:80");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn ready_target_is_reported_while_another_is_not_open() {
    let port = free_port();
    assert_prints(
        &format!("mkfifo a; exec 3<>a; echo hi >&3; wait tcp:127.0.0.1:{port} 3"),
        "3 in\n",
    );
}

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
        "mkfifo a; exec 3<>a
         wait --follow --timeout 2s 3 >lines &
         for word in one two; do
             sleep 0.3; echo $word >&3; sleep 0.3; read -r line <&3
         done
         while kill -0 $! 2>/dev/null; do sleep 0.1; done; cat lines",
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
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3 in\n0\n", "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn follow_with_timeout_0_polls_once() {
    assert_prints("mkfifo a; exec 3<>a; echo x >&3; wait --follow --timeout 0 3", "3 in\n");
    assert_times_out("mkfifo a; exec 3<>a; wait --follow --timeout 0 3", "");
}

#[test]
fn follow_prints_json() {
    assert_prints(
        "{ sleep 0.3; echo a; sleep 0.3; } | wait --follow --json 0",
        "{\"index\":0,\"target\":\"0\",\"events\":[\"in\"]}\n\
         {\"index\":0,\"target\":\"0\",\"events\":[\"in\",\"hup\"]}\n",
    );
}

/// The last events that `wait --follow` prints for a service that calls `end` on its connection.
fn last_followed_events(end: impl FnOnce(TcpStream) + Send + 'static, events: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        thread::sleep(Duration::from_millis(200));
        end(client);
    });
    let output = sh(&format!("wait --follow tcp:127.0.0.1:{port}:{events}"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    service.join().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
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
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 in,rdhup\n");
}

#[test]
fn follow_continues_if_an_inherited_connection_is_watched_for_out() {
    let start = Instant::now();
    let output = follow_half_closed("0:out", "500ms");
    assert!(start.elapsed() >= Duration::from_millis(500));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0 out,rdhup\n");
}
