//! The public items of pollset are those of `crates/pollset/public-api.txt`.
//!
//! After an intended change, `POLLSET_RECORD=1 cargo test -p pollset-guide --test public_api` writes
//! the list anew, to be committed with the change.
#![cfg(all(target_os = "linux", not(pollset_portable)))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde::Deserialize;

const RECORD: &str = "POLLSET_RECORD=1 cargo test -p pollset-guide --test public_api";

/// The interface as rustdoc describes it, in JSON. Stable compilers write it with `RUSTC_BOOTSTRAP`.
fn rustdoc_json() -> PathBuf {
    let this = env::current_exe().unwrap();
    // Not the folder of the tests: the flags differ, and cargo may still hold its lock.
    let target = this.ancestors().nth(3).unwrap().join("public-api");
    let output = Command::new(env!("CARGO"))
        .args(["rustdoc", "--frozen", "--package", "pollset", "--lib", "--features", "bindings"])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTDOCFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("doc/pollset.json")
}

#[derive(Deserialize)]
struct Format {
    format_version: u32,
}

/// The lines that only one of the lists has.
fn differences(recorded: &str, present: &str) -> String {
    let [old, new] = [recorded, present].map(|list| list.lines().collect::<BTreeSet<_>>());
    let removed = old.difference(&new).map(|line| format!("- {line}\n"));
    let added = new.difference(&old).map(|line| format!("+ {line}\n"));
    removed.chain(added).collect()
}

#[test]
fn the_public_items_are_the_recorded_ones() {
    let json = rustdoc_json();
    let Format { format_version } = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    if format_version != rustdoc_types::FORMAT_VERSION {
        println!(
            "skipped: this Rust writes rustdoc's JSON in format {format_version}, and the crate \
             public-api reads format {}",
            rustdoc_types::FORMAT_VERSION
        );
        return;
    }
    let present = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .unwrap()
        .to_string();

    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pollset/public-api.txt");
    if env::var_os("POLLSET_RECORD").is_some_and(|value| value == "1") {
        return fs::write(list, present).unwrap();
    }
    let recorded = fs::read_to_string(list).unwrap_or_default();
    assert!(
        recorded == present,
        "crates/pollset/public-api.txt differs from the public items of pollset:\n{}\
         If that is intended, record them: {RECORD}",
        differences(&recorded, &present)
    );
}

#[test]
fn differences_are_the_lines_of_one_list() {
    assert_eq!(differences("a\nb\n", "b\nc\n"), "- a\n+ c\n");
    assert_eq!(differences("a\n", "a\n"), "");
}
