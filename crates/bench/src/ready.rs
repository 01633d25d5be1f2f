use std::time::Duration;

use anyhow::Result;
use comfy_table::Table;
use pollset::Engine;

use crate::bare;
use crate::crowd::Crowd;
use crate::measure::{beside, in_turn};
use crate::ours::Ours;

pub fn one_of_n() -> Result<Table> {
    let mut table = table();
    for n in [1, 3, 8, 16, 64, 256, 1_000, 4_000, 9_000, 19_000] {
        table.add_row(row(n, 1, &Crowd::of_eventfds(n, |member| member == n / 2)?)?);
    }
    Ok(table)
}

pub fn share_of_n() -> Result<Table> {
    let mut table = table();
    for n in [16, 1_000, 9_000_usize] {
        for percent in [1, 10, 25, 50, 100] {
            let k = (n * percent).div_ceil(100);
            let is_ready = |member| member * k / n != (member + 1) * k / n;
            table.add_row(row(n, k, &Crowd::of_sockets(n, is_ready)?)?);
        }
    }
    Ok(table)
}

fn table() -> Table {
    let mut table = Table::new();
    table.set_header([
        "n",
        "k",
        "libc::poll(-1)",
        "libc::poll(0)",
        "libc::epoll_wait(-1)",
        "poll_into(None)",
        "poll_into(ZERO)",
        "engine",
        "None / best libc",
        "ZERO / best libc",
    ]);
    table
}

/// A wait of each, where `k` of the `n` are ready at once and stay so.
fn row(n: usize, k: usize, crowd: &Crowd) -> Result<Vec<String>> {
    let mut blocking = crowd.pollfds();
    let mut asking = crowd.pollfds();
    let mut epoll = bare::Epoll::watching(crowd.numbers())?;
    let mut patient = Ours::watching(crowd, Engine::Auto, None)?;
    let mut curious = Ours::watching(crowd, Engine::Auto, Duration::ZERO)?;
    for ours in [&mut patient, &mut curious] {
        ours.warm_up(|ours| assert_eq!(ours.wait(), k));
    }

    let times = in_turn([
        &mut || assert_eq!(bare::poll(&mut blocking, -1), k),
        &mut || assert_eq!(bare::poll(&mut asking, 0), k),
        &mut || assert_eq!(epoll.wait(-1), k),
        &mut || assert_eq!(patient.wait(), k),
        &mut || assert_eq!(curious.wait(), k),
    ]);
    let [poll_blocking, poll_asking, epoll_wait, with_none, with_zero] = times;
    let best = poll_blocking.min(poll_asking).min(epoll_wait);
    let engine = curious.set.stats().last_engine.expect("it has waited");

    let mut row = vec![n.to_string(), k.to_string()];
    row.extend(times.map(|ns| format!("{ns:.0}")));
    row.push(format!("{engine:?}"));
    row.extend([with_none, with_zero].map(|ours| beside(ours, best, 0)));
    Ok(row)
}
