//! The files that are made from the sources are up to date: the header, the manual pages and the list of
//! symbols. With `POLLSET_RECORD=1` the tests write them.

mod manual;
mod roff;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const DIRECTORY: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn header_is_up_to_date() {
    check("include/pollset.h", &header());
}

#[test]
fn manual_pages_are_up_to_date() {
    let pages = manual::pages(&header());
    for (name, text) in &pages {
        check(&format!("man/{name}"), text);
    }
    let files = fs::read_dir(Path::new(DIRECTORY).join("man")).unwrap();
    assert_eq!(files.count(), pages.len(), "a page of a function that is gone");
}

#[test]
fn programs_that_show_manual_pages_have_no_complaint() {
    if env::var_os("POLLSET_RECORD").is_some() {
        return; // they are being written
    }
    let pages = fs::read_dir(Path::new(DIRECTORY).join("man")).unwrap();
    let pages: Vec<_> = pages.map(|page| page.unwrap().path()).collect();
    for (program, options) in [
        ("groff", ["-ww", "-man", "-Tutf8", "-z"].as_slice()),
        ("mandoc", &["-T", "lint", "-W", "warning"]),
    ] {
        let Ok(output) = Command::new(program).args(options).args(&pages).output() else {
            eprintln!("SKIPPED: there is no {program}");
            continue;
        };
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8_lossy(&text);
            // A page has the version, and no date.
            let mut complaints = text.lines().filter(|line| !line.contains("missing date"));
            assert_eq!(complaints.next(), None, "{program}: {text}");
        }
    }
}

/// Functions may be added. One that is removed or renamed breaks programs.
#[test]
fn shared_library_exports_the_functions_of_the_header_and_nothing_else() {
    let Ok(output) = Command::new("nm").arg("-D").arg("--defined-only").arg(library()).output()
    else {
        return eprintln!("SKIPPED: there is no nm");
    };
    let output = String::from_utf8(output.stdout).unwrap();
    let mut symbols: Vec<_> =
        output.lines().filter_map(|line| line.split(' ').next_back()).collect();
    // On 32-bit systems: see the header.
    symbols.retain(|&symbol| symbol != "pollset_wait_time64");
    symbols.sort_unstable();
    check("symbols.txt", &format!("{}\n", symbols.join("\n")));
    for symbol in symbols {
        assert!(header().contains(&format!("{symbol}(")), "{symbol}");
    }
}

/// The shared library that cargo has built together with this test.
fn library() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.with_file_name("libpollset_c.so")
}

fn header() -> String {
    let mut config = cbindgen::Config::from_file(format!("{DIRECTORY}/cbindgen.toml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    config.after_includes = Some(format!(
        "\n/* The version of this header: that of the library is pollset_version(). */\n\
         #define POLLSET_VERSION \"{version}\"\n\n\
         /* The time_t of 64 bits that glibc has on 32-bit systems. */\n\
         #if defined(_TIME_BITS) && defined(__TIMESIZE)\n\
         #if _TIME_BITS == 64 && __TIMESIZE == 32\n\
         #define pollset_wait pollset_wait_time64\n\
         #endif\n\
         #endif"
    ));
    let mut header = Vec::new();
    cbindgen::generate_with_config(DIRECTORY, config).unwrap().write(&mut header);
    // C90 has no `//`, and C++ can't declare a structure without a tag again.
    String::from_utf8(header)
        .unwrap()
        .replace("typedef struct {", "typedef struct pollset_stats_t {")
        .replace("// __cplusplus", "/* __cplusplus */")
        .replace("// extern \"C\"", "/* extern \"C\" */")
}

/// Compares a generated text with its file, or writes the file.
#[track_caller]
fn check(path: &str, text: &str) {
    let path = Path::new(DIRECTORY).join(path);
    if env::var_os("POLLSET_RECORD").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, text).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(recorded, text, "{} is not up to date", path.display());
}
