//! How many descriptors the process may open, and how many it needs.

use std::fs;
use std::io;

use anyhow::{Result, ensure};

use crate::misuse::Misuse;

/// What a server opens besides its clients, and some to spare.
const SPARE: u64 = 16;
/// What is open at the start, on systems that can't be asked.
const USUALLY_OPEN: u64 = 8;

/// Raises the limit as far as the server, and the crowd that inherits it, need for `clients`.
pub fn make_room_for(clients: usize) -> Result<()> {
    let others = others();
    let needed = clients as u64 + others;
    let limit = rlimit::increase_nofile_limit(needed)?;
    ensure!(
        limit >= needed,
        Misuse(format!(
            "there is no room for {clients} clients: a process may have {limit} open descriptors \
             here, and that is the hard limit (ulimit -Hn); --clients {} would do",
            limit.saturating_sub(others)
        ))
    );
    Ok(())
}

/// Raises the limit as far as possible. Returns how many clients there is room for.
pub fn make_room() -> io::Result<u64> {
    Ok(rlimit::increase_nofile_limit(u64::MAX)?.saturating_sub(others()))
}

/// What is not for clients, what the process has inherited included.
fn others() -> u64 {
    let open = fs::read_dir("/dev/fd").map_or(USUALLY_OPEN, |open| open.count() as u64);
    open + SPARE
}
