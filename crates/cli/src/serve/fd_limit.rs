//! Raises the limit of open descriptors (`RLIMIT_NOFILE`) to what the clients need.

use std::fs;
use std::io;

use anyhow::{Result, ensure};

use crate::usage_error::UsageError;

/// Descriptors that the server opens for itself, and a margin.
const RESERVE: u64 = 16;
/// The number of inherited descriptors, if the system has no `/dev/fd`.
const DEFAULT_INHERITED: u64 = 8;

/// Raises the limit as far as `clients` need, both in the server and in the load generator, which
/// inherits it.
pub fn raise_for(clients: usize) -> Result<()> {
    let reserved = reserved();
    let needed = clients as u64 + reserved;
    let limit = rlimit::increase_nofile_limit(needed)?;
    ensure!(
        limit >= needed,
        UsageError(format!(
            "there is no room for {clients} clients: a process can have {limit} open descriptors \
             here, the hard limit (ulimit -Hn); write --clients {} or fewer",
            limit.saturating_sub(reserved)
        ))
    );
    Ok(())
}

/// Raises the limit as far as possible, and returns the largest possible number of clients.
pub fn raise_to_maximum() -> io::Result<u64> {
    Ok(rlimit::increase_nofile_limit(u64::MAX)?.saturating_sub(reserved()))
}

/// The number of descriptors that are not for clients, the inherited ones included.
fn reserved() -> u64 {
    let inherited = fs::read_dir("/dev/fd").map_or(DEFAULT_INHERITED, |open| open.count() as u64);
    inherited + RESERVE
}
