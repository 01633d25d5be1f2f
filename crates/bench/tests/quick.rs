//! Runs the program on its shortest workloads.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::tempdir;

fn bench(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollset-bench"));
    command.arg("--into").arg(folder).args(arguments);
    command.output().expect("the program starts")
}

#[test]
fn a_run_prints_a_table_and_writes_samples_charts_and_page() {
    let folder = tempdir().unwrap();
    let output = bench(folder.path(), &["--quick", "numbering"]);
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("| highest descriptor"), "{stdout}");
    assert!(stdout.contains(concat!("pollset ", env!("CARGO_PKG_VERSION"))), "{stdout}");

    let report = fs::read(folder.path().join("numbering.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["versions"]["pollset"], env!("CARGO_PKG_VERSION"));
    let series = report["charts"][0]["series"].as_array().unwrap();
    assert_eq!(series.len(), 3);
    for point in series.iter().flat_map(|series| series["points"].as_array().unwrap()) {
        assert_eq!(point["samples"].as_array().unwrap().len(), 7, "{point}");
    }

    let page = fs::read_to_string(folder.path().join("index.html")).unwrap();
    for chart in ["numbering.svg", "numbering-dark.svg"] {
        assert!(page.contains(chart), "{page}");
        assert!(folder.path().join(chart).exists());
    }
    for chart in ["numbering.png", "numbering-dark.png"] {
        let bytes = fs::read(folder.path().join(chart)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
    }
}

#[test]
fn one_shot_compares_the_function_with_the_bare_calls() {
    let folder = tempdir().unwrap();
    let subjects = ["poll(2)", "ppoll(2)", "rustix", "pollset::poll"];
    for chart in charts(folder.path(), "one-shot") {
        assert_eq!(subjects_of(&chart), subjects, "{chart}");
    }
}

#[test]
fn values_compares_maps_with_bare_calls() {
    let folder = tempdir().unwrap();
    let subjects = [
        "poll(2) and Vec",
        "epoll(7) and HashMap",
        "epoll(7) and Vec",
        "PollSet alone",
        "PollSet and HashMap",
        "PollMap",
    ];
    let [waits @ .., changes] = &charts(folder.path(), "values")[..] else { panic!("no chart") };
    for chart in waits {
        assert_eq!(subjects_of(chart), subjects, "{chart}");
    }
    assert_eq!(subjects_of(changes), subjects[3..], "{changes}");
}

fn charts(folder: &Path, workload: &str) -> Vec<Value> {
    let output = bench(folder, &["--quick", workload]);
    assert!(output.status.success(), "{output:?}");
    let report = fs::read(folder.join(workload).with_extension("json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    report["charts"].as_array().unwrap().clone()
}

fn subjects_of(chart: &Value) -> Vec<&str> {
    let series = chart["series"].as_array().unwrap();
    series.iter().map(|series| series["subject"].as_str().unwrap()).collect()
}

#[test]
fn draw_repeats_the_charts_and_leaves_the_samples_unchanged() {
    let folder = tempdir().unwrap();
    assert!(bench(folder.path(), &["--quick", "numbering"]).status.success());
    let samples = fs::read(folder.path().join("numbering.json")).unwrap();
    fs::remove_file(folder.path().join("numbering.svg")).unwrap();

    assert!(bench(folder.path(), &["--draw"]).status.success());
    assert!(folder.path().join("numbering.svg").exists());
    assert_eq!(fs::read(folder.path().join("numbering.json")).unwrap(), samples);
}

#[test]
fn regrets_over_the_target_are_listed_and_drawn() {
    let folder = tempdir().unwrap();
    let series = |subject: &str, kind: &str, times: [f64; 2]| {
        let points = times.map(|time| json!({ "x": 10.0 * time, "samples": [time] }));
        let row = json!({ "group": "eventfds", "name": "one ready" });
        json!({ "subject": subject, "kind": kind, "row": row, "points": points })
    };
    let mut ours = series("pollset", "ours", [100.0, 200.0]);
    ours["points"][1]["samples"][0] = json!(300.0);
    let report = json!({
        "workload": "choice",
        "description": "The choice of the engine.",
        "language": "Rust",
        "command": "cargo run",
        "date": "2026-11-22",
        "machine": { "processor": "AMD", "cores": 2, "memory_gib": 24, "kernel": "Linux" },
        "versions": {},
        "charts": [{
            "name": "choice-timeout-0",
            "title": "Timeout 0",
            "x": "descriptors watched",
            "y": "wait",
            "unit": "nanoseconds",
            "target": { "ratio": 1.1, "difference": 40.0 },
            "series": [ours, series("pollset, poll forced", "ours-forced", [100.0, 200.0])],
        }],
    });
    fs::write(folder.path().join("choice.json"), report.to_string()).unwrap();

    let output = bench(folder.path(), &["--draw"]);
    assert!(output.status.success(), "{output:?}");
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    let summary = "2 points, 1 over the target. \
                   Regret: at most 1.50, mean 1.250, geometric mean 1.225.";
    let tables = read("tables.md");
    assert!(tables.contains("| 2,000, eventfds, one ready | 300 ns "), "{tables}");
    assert!(tables.contains("| OVER 1.50× |") && tables.contains(summary), "{tables}");
    assert!(read("index.html").contains(summary));
    for chart in ["choice-timeout-0.svg", "choice-timeout-0-dark.svg"] {
        assert!(read(chart).contains(">1.50</text>"), "{chart}");
    }
}

#[test]
fn draw_names_the_file_that_is_no_report() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("broken.json"), "{}").unwrap();
    let output = bench(folder.path(), &["--draw"]);
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("broken.json"), "{stderr}");
}
