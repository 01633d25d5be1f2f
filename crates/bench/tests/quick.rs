//! The program as it is typed, on its shortest workloads.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::tempdir;

fn bench(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollset-bench"));
    command.arg("--into").arg(folder).args(arguments);
    command.output().expect("it starts")
}

#[test]
fn a_run_prints_a_table_and_leaves_samples_charts_and_their_page() {
    let folder = tempdir().unwrap();
    let output = bench(folder.path(), &["--quick", "numbering"]);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("| highest descriptor"), "{printed}");
    assert!(printed.contains(concat!("pollset ", env!("CARGO_PKG_VERSION"))), "{printed}");

    let report = fs::read(folder.path().join("numbering.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["versions"]["pollset"], env!("CARGO_PKG_VERSION"));
    let contestants = report["charts"][0]["series"].as_array().unwrap();
    assert_eq!(contestants.len(), 3);
    for point in contestants.iter().flat_map(|series| series["points"].as_array().unwrap()) {
        assert_eq!(point["samples"].as_array().unwrap().len(), 7, "{point}");
    }

    let page = fs::read_to_string(folder.path().join("index.html")).unwrap();
    for picture in ["numbering.svg", "numbering-dark.svg"] {
        assert!(page.contains(picture), "{page}");
        assert!(folder.path().join(picture).exists());
    }
    for picture in ["numbering.png", "numbering-dark.png"] {
        let bytes = fs::read(folder.path().join(picture)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
    }
}

#[test]
fn it_draws_again_what_was_measured_before_and_nothing_else() {
    let folder = tempdir().unwrap();
    assert!(bench(folder.path(), &["--quick", "numbering"]).status.success());
    let samples = fs::read(folder.path().join("numbering.json")).unwrap();
    fs::remove_file(folder.path().join("numbering.svg")).unwrap();

    assert!(bench(folder.path(), &["--draw"]).status.success());
    assert!(folder.path().join("numbering.svg").exists());
    assert_eq!(fs::read(folder.path().join("numbering.json")).unwrap(), samples);

    fs::write(folder.path().join("broken.json"), "{}").unwrap();
    let output = bench(folder.path(), &["--draw"]);
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("broken.json"), "{message}");
}
