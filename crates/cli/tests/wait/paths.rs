//! Paths that appear.

use rustix::io::Errno;

use crate::util::{assert_prints, assert_times_out, assert_usage_error, text_of};

#[test]
fn path_can_appear_later() {
    assert_prints("(sleep 0.3; touch a) & wait --timeout 30s a:exists", "a exists\n");
    assert_prints("(sleep 0.3; mkdir a) & wait --timeout 30s a:exists", "a exists\n");
    assert_prints("(sleep 0.3; mkfifo a) & wait --timeout 30s a:exists", "a exists\n");
    assert_prints("(sleep 0.3; mkdir a; echo hi >a/b) & wait --timeout 30s a/b", "a/b in\n");
}

#[test]
fn fifo_that_appears_is_waited_for_until_it_has_data() {
    assert_prints(
        "(sleep 0.3; mkfifo a; exec 3<>a; sleep 0.3; echo hi >&3; sleep 1) & wait --timeout 30s a",
        "a in\n",
    );
}

#[test]
fn missing_path_is_reported_at_the_timeout() {
    assert_times_out("wait -t 300ms a", "pollset: a: No such file or directory\n");
    assert_times_out("wait -t 0 a:exists", "pollset: a: doesn't exist\n");
}

#[test]
fn symbolic_link_exists_if_its_target_does() {
    assert_times_out("ln -s b a; wait -t 0 a:exists", "pollset: a: doesn't exist\n");
    assert_prints("ln -s b a; touch b; wait -t 0 a:exists", "a exists\n");
}

#[test]
fn path_that_can_not_be_opened_is_a_usage_error() {
    let long = "x".repeat(300);
    for (script, problem, error) in [
        ("ln -s a a; wait a", "can't open a", Errno::LOOP),
        ("mkdir a; wait a:out", "can't open a", Errno::ISDIR),
        (&format!("wait {long}:exists"), &format!("can't look up {long}"), Errno::NAMETOOLONG),
    ] {
        assert_usage_error(script, &format!("{problem}: {}", text_of(error)));
    }
}

#[test]
fn path_is_looked_up_once_more_at_the_timeout() {
    // It appears while pollset is stopped, which goes on after the timeout only.
    assert_prints(
        "wait --timeout 400ms a:exists >out & command sleep 0.2
         kill -STOP $!; touch a; command sleep 0.4; kill -CONT $!; command wait $!; cat out",
        "a exists\n",
    );
}

#[test]
fn busy_device_is_tried_again() {
    assert_prints(
        "cp /bin/sleep program; ./program 0.5 & sleep 0.2; wait --timeout 30s ./program:out",
        "./program out\n",
    );
}
