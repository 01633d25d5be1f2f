//! The documents: sessions in a shell run as they are shown, and links, paths and figures are right.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(document: &str) -> String {
    fs::read_to_string(checkout().join(document)).unwrap()
}

/// The code blocks in `language`, in order.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("\n```{language}\n");
    let blocks = document.split(&opening).skip(1);
    blocks.map(|block| block.split_once("```\n").expect("has an end").0).collect()
}

/// Whether `output` is `expected`, in which a line `...` stands for any text.
fn matches(output: &str, expected: &str) -> bool {
    let mut pieces = expected.split("...\n");
    let Some(mut rest) = output.strip_prefix(pieces.next().unwrap()) else { return false };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty() || expected.ends_with("...\n")
}

/// The search path of a shell that finds the command.
fn path_with_pollset() -> OsString {
    let commands = Path::new(env!("CARGO_BIN_EXE_pollset")).parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap();
    env::join_paths([commands].into_iter().chain(env::split_paths(&path))).unwrap()
}

/// Runs the lines that begin with `$ ` in a shell, in a new folder, and compares what they print
/// with the other lines.
#[track_caller]
fn assert_runs_as_shown(session: &str) {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let session = session.replace("5432", &service.local_addr().unwrap().port().to_string());
    let mut script = "printf '#!/bin/sh\\necho migrated\\n' >migrate; chmod +x migrate
         printf '#!/bin/sh\\necho server $*\\n' >server; chmod +x server\n"
        .to_owned();
    let mut expected = String::new();
    for line in session.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => script += &format!("{command}\n"),
            None => expected += &format!("{line}\n"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let _server = UnixListener::bind(folder.path().join("app.sock")).unwrap();
    let shell = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path_with_pollset())
        .output()
        .unwrap();
    assert!(shell.status.success(), "{script}{shell:?}");
    let output = String::from_utf8(shell.stdout).unwrap();
    assert!(matches(&output, &expected), "{session}\nprints\n\n{output}");
}

#[test]
fn sessions_run_as_shown() {
    for (document, least) in [("README.md", 1), ("docs/command.md", 14)] {
        let text = read(document);
        let sessions = blocks(&text, "console");
        assert!(sessions.len() >= least, "{document}");
        sessions.into_iter().for_each(assert_runs_as_shown);
    }
}

#[test]
fn lines_that_install_files_work() {
    let document = read("docs/command.md");
    let lines =
        document.split('`').skip(1).step_by(2).filter(|code| code.starts_with("mkdir -p ~"));
    let mut count = 0;
    for line in lines {
        let home = tempfile::tempdir().unwrap();
        let shell = Command::new("sh")
            .args(["-c", &format!("{line} && find ~ -type f -size +1k")])
            .env("HOME", home.path())
            .env("PATH", path_with_pollset())
            .output()
            .unwrap();
        assert!(shell.status.success() && !shell.stdout.is_empty(), "{line}: {shell:?}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn a_session_that_prints_something_else_is_found() {
    for (output, expected) in [("b\n", "a\n"), ("a\nb\n", "a\n"), ("a\n", "...\nb\n"), ("", "a\n")]
    {
        assert!(!matches(output, expected), "{output:?} {expected:?}");
    }
    for expected in ["a\nb\nc\n", "...\n", "a\n...\n", "...\nc\n", "a\n...\nc\n"] {
        assert!(matches("a\nb\nc\n", expected), "{expected:?}");
    }
}

#[test]
fn figures_in_the_readme_are_those_of_the_benchmarks() {
    let (readme, benchmarks) = (read("README.md"), read("docs/benchmarks.md"));
    let [chart] = blocks(&readme, "text")[..] else { panic!("README.md has one chart") };
    let mut count = 0;
    for line in chart.lines().filter(|line| line.contains('#')) {
        let figure = line.split_whitespace().rev().nth(1).unwrap();
        assert!(benchmarks.contains(&format!("| {figure} |")), "{figure}");
        count += 1;
    }
    assert_eq!(count, 9);
}

fn documents() -> Vec<String> {
    let entries = fs::read_dir(checkout().join("docs")).unwrap();
    let pages = entries.map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    let at_the_top =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "RELEASING.md"]
            .map(str::to_owned);
    pages.filter(|name| name.ends_with(".md")).chain(at_the_top).collect()
}

/// The targets of links, and of images.
fn targets(document: &str) -> Vec<&str> {
    let marks = [("](", ')'), ("]: ", '\n'), ("src=\"", '"'), ("srcset=\"", '"')];
    let of_kind = |(opening, closing)| {
        let rests = document.split(opening).skip(1);
        rests.map(move |rest| rest.split(closing).next().unwrap())
    };
    marks.into_iter().flat_map(of_kind).filter(|target| !target.contains("://")).collect()
}

/// The anchors that code hosts give to headings.
fn anchors(document: &str) -> Vec<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let letters = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        letters.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    for document in documents() {
        let text = read(&document);
        for target in targets(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => checkout().join(&document),
                path => checkout().join(&document).parent().unwrap().join(path),
            };
            assert!(path.exists(), "{document}: {target}");
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(path).unwrap());
                assert!(anchors.iter().any(|known| known == anchor), "{document}: {target}");
            }
        }
    }
}

#[test]
fn every_document_is_linked_from_the_readme_and_links_to_it() {
    let readme = read("README.md");
    let linked = targets(&readme);
    for document in documents().iter().filter(|document| *document != "README.md") {
        assert!(linked.contains(&document.as_str()), "{document}");
        assert!(
            targets(&read(document)).iter().any(|target| target.ends_with("README.md")),
            "{document}"
        );
    }
}

#[test]
fn paths_that_documents_name_exist() {
    for document in documents() {
        let text = read(&document);
        let named = text.split('`').skip(1).step_by(2).filter(|code| {
            let folders =
                ["crates/", "python/", "docs/", "fuzz/", "examples/", "benchmarks/", "ci/"];
            folders.iter().any(|folder| code.starts_with(folder)) && !code.contains(' ')
        });
        for path in named {
            assert!(checkout().join(path).exists(), "{document}: {path}");
        }
    }
}
