//! Descriptors, FIFOs, events, the timeout, and the output.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::util::{assert_prints, assert_times_out, assert_usage_error, sh, stderr, stdout};

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
    let before = Timestamp::now();
    let output = sh("mkfifo a; exec 3<>a; echo hi >&3; wait --json 3:in,out");
    let line = stdout(&output);
    let expected = "{\"index\":0,\"target\":\"3\",\"events\":[\"in\",\"out\"],\"time\":\"";
    let time = line.strip_prefix(expected).and_then(|rest| rest.strip_suffix("\"}\n")).unwrap();
    let time: Timestamp = time.parse().unwrap();
    assert!(
        (before.as_microsecond()..=Timestamp::now().as_microsecond())
            .contains(&time.as_microsecond()),
        "{line}"
    );
}

#[test]
fn index_in_json_is_the_position_on_the_command_line() {
    let output = sh("mkfifo a b; exec 3<>a 4<>b; echo hi >&3; wait --json 4 3");
    assert!(stdout(&output).starts_with("{\"index\":1,\"target\":\"3\",\"events\":[\"in\"],"));
}

#[test]
fn closed_output_pipe_is_no_failure() {
    let output = sh("{ sleep 0.3; wait 0 </dev/null; echo $? >status; } | true; cat status");
    assert_eq!(stdout(&output), "0\n", "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn full_output_device_is_a_system_error() {
    for option in ["", "--follow", "--json"] {
        let output = sh(&format!("wait {option} 0 </dev/null >/dev/full"));
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(stderr(&output).contains("can't write to standard output"), "{output:?}");
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
    assert_usage_error("wait --all --follow 0", "cannot be used with");
    assert_usage_error("wait --quiet --json 0", "cannot be used with");
    assert_usage_error("wait --follow 0 -- true", "cannot be used with");
    assert_usage_error("wait --follow 0:gone", "--follow reports events");
}

#[test]
fn quiet_prints_nothing_but_errors() {
    assert_prints("wait --quiet 0 </dev/null", "");
    assert_times_out("mkfifo a; wait -q --timeout 100ms tcp:127.0.0.1:1 a:out", "");
    assert_usage_error("wait --quiet 7", "descriptor 7 is not open");
}
