//! Server and clients each have a CPU of their own.

use anyhow::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins this process to the `index`-th of the CPUs that it may use. Without as many, it does
/// nothing.
///
/// Where the scheduler places the two processes, it puts them on one CPU now and then, or moves
/// them, and figures differ from run to run by a tenth.
pub fn pin_to(index: usize) -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let cpu = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).nth(index);
    if let Some(cpu) = cpu {
        let mut own = CpuSet::new();
        own.set(cpu);
        sched_setaffinity(None, &own)?;
    }
    Ok(())
}
