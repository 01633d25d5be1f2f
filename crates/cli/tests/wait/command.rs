//! The command that is run after the wait.

use crate::util::{assert_printed, assert_times_out, sh, stderr, stdout};

#[test]
fn command_replaces_pollset() {
    let output =
        sh("sh -c 'echo $$; exec \"$0\" wait /:exists -- sh -c \"echo \\$\\$; exit 7\"' $pollset");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let printed = stdout(&output);
    let [shell, command] = printed.lines().collect::<Vec<_>>()[..] else { panic!("{printed}") };
    assert_eq!(shell, command);
    assert_eq!(stderr(&output), "/ exists\n");
}

#[test]
fn command_gets_its_arguments_its_input_and_the_environment() {
    let output =
        sh("echo hi | X=y $pollset wait -q 0 -- sh -c 'echo \"$X $1 $2\"; cat' sh '*' --all");
    assert_printed(&output, "y * --all\nhi\n");
}

#[test]
fn command_inherits_the_descriptors_of_the_shell_and_no_other() {
    let listing = "ls /proc/self/fd | tr '\\n' ' '";
    let output = sh(&format!(
        "mkfifo a; exec 3<>a; echo x >&3; touch b; $pollset serve --listen 127.0.0.1:0 >log & server=$!
         until grep -q : log; do sleep 0.05; done; port=$(sed 's/.*:\\([0-9]*\\).*/\\1/' log | head -n 1)
         sh -c \"{listing}\"; wait -q --all 3 b tcp:localhost:1:gone tcp:127.0.0.1:$port -- sh -c \"{listing}\"
         kill $server"
    ));
    let printed = stdout(&output);
    let half = printed.len() / 2;
    assert_eq!(printed[..half], printed[half..], "{output:?}");
}

#[test]
fn control_characters_of_a_name_are_not_printed_beside_the_output() {
    let output = sh("wait \"$(printf 'a\\033b')\":gone -- true");
    assert_eq!(stderr(&output), "a?b gone\n");
}

#[test]
fn command_is_not_run_after_the_timeout() {
    assert_times_out(
        "wait --timeout 100ms a:exists -- echo started",
        "pollset: a: doesn't exist\n",
    );
}

#[test]
fn command_that_can_not_be_run_has_the_exit_status_of_a_shell() {
    let output = sh("wait -q /:exists -- no-such-program");
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    assert_eq!(stderr(&output), "pollset: can't run no-such-program: No such file or directory\n");
    let output = sh("touch a; wait -q /:exists -- ./a");
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    assert_eq!(stderr(&output), "pollset: can't run ./a: Permission denied\n");
}
