//! Signals during a wait.

use crate::util::assert_prints;

#[test]
fn signal_ends_the_wait() {
    for signal in ["INT", "TERM", "HUP"] {
        // `timeout` sends the signal, and ends itself by the signal that has ended its command.
        let script = format!(
            "timeout --preserve-status -s {signal} 0.5 $pollset wait nothing
             test $(kill -l $?) = {signal} && echo ended"
        );
        assert_prints(&script, "ended\n");
    }
}

#[test]
fn wait_goes_on_after_a_stop() {
    assert_prints(
        "mkfifo a; exec 3<>a; wait --timeout 30s 3 >out & sleep 0.3
         kill -STOP $!; sleep 0.3; kill -CONT $!; sleep 0.3; test -s out && exit 1
         echo x >&3; command wait $!; cat out",
        "3 in\n",
    );
}
