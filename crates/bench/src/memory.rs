use allocation_counter::measure;
use anyhow::Result;
use comfy_table::Table;
use pollset::{PollFlags, PollSet};

use crate::crowd::Crowd;

const WAITS: u64 = 1_000;

/// Allocations per wait, and the memory that a registration takes once it has been waited for.
pub fn per_wait_and_registration() -> Result<()> {
    println!("a PollSet is {} bytes", size_of::<PollSet>());
    let mut table = Table::new();
    table.set_header(["n", "allocations per wait", "heap bytes per registration"]);
    for n in [1, 8, 64, 1_000, 9_000] {
        let mut crowd = Crowd::new(n)?;
        crowd.say_something(n / 2)?;
        let set = PollSet::new();
        let mut events = Vec::with_capacity(1);
        let registered = measure(|| {
            for fd in crowd.numbers() {
                set.register(fd, PollFlags::IN).unwrap();
            }
            set.poll_into(&mut events, None).unwrap();
        });
        let waited = measure(|| {
            for _ in 0..WAITS {
                set.poll_into(&mut events, None).unwrap();
            }
        });
        table.add_row([
            n.to_string(),
            format!("{:.3}", waited.count_total as f64 / WAITS as f64),
            format!("{:.1}", registered.bytes_current as f64 / n as f64),
        ]);
    }
    println!("{table}");
    Ok(())
}
