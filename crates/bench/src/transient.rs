use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use comfy_table::Table;
use pollset::{PollFlags, PollSet};

use crate::bare;
use crate::crowd::Crowd;
use crate::measure::{beside, in_turn};

const MOST: usize = 8;

pub fn ask_once_and_drop() -> Result<Table> {
    let mut table = Table::new();
    table.set_header([
        "n",
        "libc::poll(0)",
        "register",
        "register_all",
        "register / libc",
        "register_all / libc",
    ]);
    for n in [1, 3, MOST] {
        let crowd = Crowd::of_sockets(n, |member| member == n / 2)?;
        let numbers: Vec<_> = crowd.numbers().collect();
        let (mut events, mut more_events) = (Vec::new(), Vec::new());
        let times = in_turn([
            &mut || {
                let mut entries = [bare::pollfd(-1); MOST];
                for (entry, &fd) in entries.iter_mut().zip(&numbers) {
                    *entry = bare::pollfd(fd);
                }
                assert_eq!(bare::poll(&mut entries[..n], 0), 1);
                black_box(&entries);
            },
            &mut || {
                let set = PollSet::new();
                for &fd in &numbers {
                    set.register(fd, PollFlags::IN).unwrap();
                }
                assert_eq!(set.poll_into(&mut events, Duration::ZERO).unwrap(), 1);
            },
            &mut || {
                let mut set = PollSet::new();
                set.register_all(numbers.iter().map(|&fd| (fd, PollFlags::IN))).unwrap();
                assert_eq!(set.poll_into(&mut more_events, Duration::ZERO).unwrap(), 1);
            },
        ]);
        let mut row = vec![n.to_string()];
        row.extend(times.map(|ns| format!("{ns:.0}")));
        row.extend([times[1], times[2]].map(|ours| beside(ours, times[0], 0)));
        table.add_row(row);
    }
    Ok(table)
}
