//! Server and clients each have a CPU of their own.

use anyhow::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins this process to the `index`-th of the CPUs that it may use. Without as many, it does
/// nothing.
///
/// The scheduler would put them on one CPU in some rounds and not in others, above all if one client
/// is active, and that takes a third of the processor time.
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
