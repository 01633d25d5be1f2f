use allocation_counter::measure;
use anyhow::Result;
use comfy_table::Table;
use pollset::{Engine, PollSet};

use crate::crowd::Crowd;
use crate::ours::Ours;

const WAITS: u64 = 1_000;

pub fn per_wait_and_registration() -> Result<Table> {
    let mut table = Table::new();
    table.set_header([
        "n",
        "engine",
        "allocations per wait",
        "heap bytes per registration",
        "bytes of the PollSet itself",
    ]);
    for n in [1, 8, 64, 1_000, 9_000] {
        let crowd = Crowd::of_sockets(n, |member| member == n / 2)?;
        let mut ours = Ours::new(Engine::Auto, None);
        let held = measure(|| {
            ours.watch(&crowd).expect("the numbers are open");
            ours.warm_up(|ours| assert_eq!(ours.wait(), 1));
        });
        let waited = measure(|| (0..WAITS).for_each(|_| assert_eq!(ours.wait(), 1)));
        let engine = ours.set.stats().last_engine.expect("it has waited");
        table.add_row([
            n.to_string(),
            format!("{engine:?}"),
            format!("{:.3}", waited.count_total as f64 / WAITS as f64),
            format!("{:.1}", held.bytes_current as f64 / n as f64),
            size_of::<PollSet>().to_string(),
        ]);
    }
    Ok(table)
}
