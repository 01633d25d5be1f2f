//! Completion files, man pages, and `--help`.

use crate::util::{assert_prints, sh, stderr, stdout};

/// Asks bash, which has to be there.
#[test]
fn bash_completes_subcommands_and_options() {
    let script = "$pollset completions bash >file; bash -c '
         . ./file
         complete_last() {
             COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))
             _pollset pollset \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[@]}\"
         }
         complete_last pollset wait --ti; complete_last pollset wa'";
    assert_prints(script, "--timeout\nwait\n");
}

#[test]
fn each_shell_has_a_completion_file() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sh(&format!("$pollset completions {shell}"));
        assert!(stdout(&output).contains("follow"), "{shell}");
    }
}

#[test]
fn man_pages_are_written_and_groff_has_no_complaint() {
    assert_prints(
        "mkdir man; $pollset man man; cd man; echo *",
        "pollset-completions.1 pollset-man.1 pollset-serve.1 pollset-wait.1 pollset.1\n",
    );
    let output = sh("type groff >/dev/null || { echo SKIPPED: there is no groff; exit; }
         mkdir man; $pollset man man
         for page in man/*; do groff -man -Tutf8 -ww -z $page; done");
    assert!(output.status.success() && stderr(&output).is_empty(), "{output:?}");
    eprint!("{}", stdout(&output));
}

#[test]
fn man_page_has_the_sections_of_help() {
    let output = sh("mkdir man; $pollset man man; cat man/pollset-wait.1");
    let page = stdout(&output);
    for heading in ["TARGETS", "EVENTS", "\"EXIT STATUS\"", "EXAMPLES"] {
        assert!(page.contains(&format!(".SH {heading}\n")), "{heading}: {page}");
    }
}

#[test]
fn man_page_needs_a_folder() {
    let output = sh("$pollset man nothing");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(stderr(&output).contains("can't write nothing/pollset.1"), "{output:?}");
}

#[test]
fn help_has_lines_of_at_most_80_columns() {
    for command in ["wait", "serve"] {
        let output = sh(&format!("COLUMNS=80 $pollset {command} --help"));
        for line in stdout(&output).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
