//! No descriptor is left behind: when a process that runs tests ends, what is open is what was open
//! when it began.

use std::fs;
use std::sync::OnceLock;

static AT_FIRST: OnceLock<Vec<String>> = OnceLock::new();

#[ctor::ctor(unsafe)]
fn take_note() {
    AT_FIRST.set(open()).unwrap();
}

#[dtor::dtor(unsafe)]
fn compare() {
    let (at_first, now) = (&AT_FIRST.get().unwrap()[..], &open()[..]);
    if at_first != now {
        eprintln!("open before the tests: {at_first:#?}\nand after them: {now:#?}");
        // SAFETY: it ends the process, which is ending, and takes a number.
        unsafe { libc::_exit(1) };
    }
}

/// The numbers that are open, and what they mean.
fn open() -> Vec<String> {
    let all = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    // That of the directory is closed again.
    let open = all.filter_map(|path| {
        let file = fs::read_link(&path).ok()?;
        Some(format!("{} {}", path.file_name()?.display(), file.display()))
    });
    let own = format!("/proc/{}/fd", std::process::id());
    let mut open: Vec<_> = open.filter(|file| !file.ends_with(&own)).collect();
    open.sort();
    open
}
