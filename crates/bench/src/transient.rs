use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use comfy_table::Table;
use pollset::{PollFlags, PollSet};

use crate::crowd::Crowd;
use crate::measure::in_turn;
use crate::wait::bare_poll;

/// A new object, a few descriptors, one question, drop.
pub fn ask_once_and_drop() -> Result<()> {
    let mut table = Table::new();
    table.set_header(["new, ask n once, drop; ns", "libc::poll(0)", "PollSet", "ratio"]);
    for n in [1, 3, 8] {
        let mut crowd = Crowd::new(n)?;
        crowd.say_something(n / 2)?;
        let numbers: Vec<_> = crowd.numbers().collect();
        let mut events = Vec::new();
        let [bare, ours] = in_turn([
            &mut || {
                let mut entries = [libc::pollfd { fd: -1, events: 0, revents: 0 }; 8];
                for (entry, &fd) in entries.iter_mut().zip(&numbers) {
                    *entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
                }
                assert_eq!(bare_poll(&mut entries[..n], 0), 1);
                black_box(&entries);
            },
            &mut || {
                let set = PollSet::new();
                for &fd in &numbers {
                    set.register(fd, PollFlags::IN).unwrap();
                }
                assert_eq!(set.poll_into(&mut events, Duration::ZERO).unwrap(), 1);
            },
        ]);
        table.add_row([
            n.to_string(),
            format!("{bare:.0}"),
            format!("{ours:.0}"),
            format!("{:.2}", ours / bare),
        ]);
    }
    println!("{table}");
    Ok(())
}
