use std::time::Duration;

use anyhow::Result;
use comfy_table::Table;
use pollset::{PollFlags, PollSet};

use crate::crowd::Crowd;
use crate::measure::in_turn;

/// One wait, one socket in the middle ready.
pub fn one_ready_of_n() -> Result<()> {
    let mut table = Table::new();
    table.set_header([
        "one ready of n, ns",
        "libc::poll(-1)",
        "libc::poll(0)",
        "poll_into(None)",
        "poll_into(ZERO)",
        "poll(None)",
        "poll_into(None) / best libc",
    ]);
    for n in [1, 3, 8, 16, 64, 1_000, 9_000] {
        let mut crowd = Crowd::new(n)?;
        crowd.say_something(n / 2)?;
        let set = PollSet::new();
        for fd in crowd.numbers() {
            set.register(fd, PollFlags::IN)?;
        }
        let mut blocking = crowd.pollfds();
        let mut asking = crowd.pollfds();
        let mut kept = Vec::new();
        let mut kept_too = Vec::new();

        let times = in_turn([
            &mut || assert_eq!(bare_poll(&mut blocking, -1), 1),
            &mut || assert_eq!(bare_poll(&mut asking, 0), 1),
            &mut || assert_eq!(set.poll_into(&mut kept, None).unwrap(), 1),
            &mut || assert_eq!(set.poll_into(&mut kept_too, Duration::ZERO).unwrap(), 1),
            &mut || assert_eq!(set.poll(None).unwrap().len(), 1),
        ]);
        let [bare, bare_zero, ours, ..] = times;
        let mut row = vec![n.to_string()];
        row.extend(times.map(|ns| format!("{ns:.0}")));
        row.push(format!("{:.2}", ours / bare.min(bare_zero)));
        table.add_row(row);
    }
    println!("{table}");
    Ok(())
}

pub fn bare_poll(entries: &mut [libc::pollfd], ms: i32) -> i32 {
    // SAFETY: the kernel reads and writes `entries.len()` entries of the slice.
    unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, ms) }
}
