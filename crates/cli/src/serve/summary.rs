//! The summary at the end of a run, as text.

use indicatif::{BinaryBytes, HumanCount};
use pollset::Stats;

use super::report::Totals;
use super::server::Counts;

pub fn of_clients(totals: &Totals, clients: usize, active: usize) -> String {
    let Totals { exchange_time, messages, round_trip, first_failure, .. } = totals;
    let rate = *messages as f64 / exchange_time.as_secs_f64();
    let reason = first_failure.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    format!(
        "clients     {}, of which {} active\n\
         messages    {} in {exchange_time:.1?}, {} per second\n\
         round trip  median {:.1?}, 99th percentile {:.1?}, longest {:.1?}\n\
         failures    {} lost, {} changed, {} clients dropped{reason}\n",
        HumanCount(clients as u64),
        HumanCount(active as u64),
        HumanCount(*messages),
        HumanCount(rate as u64),
        round_trip.median,
        round_trip.percentile_99,
        round_trip.longest,
        HumanCount(totals.lost),
        HumanCount(totals.corrupted),
        HumanCount(totals.dropped as u64),
    )
}

pub fn of_server(counts: &Counts, stats: &Stats) -> String {
    let failures = match stats.refused {
        0 => String::new(),
        times => format!("; epoll was not available {} times", HumanCount(times)),
    };
    format!(
        "server      {} clients accepted, {} sent back, {} connections failed\n\
         engine      {} waits on epoll, {} on poll{failures}\n",
        HumanCount(counts.accepted),
        BinaryBytes(counts.echoed_bytes),
        HumanCount(counts.failed),
        HumanCount(stats.epoll_waits),
        HumanCount(stats.poll_waits),
    )
}
