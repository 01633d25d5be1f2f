//! The machine and the versions that a run measures.

use std::collections::BTreeMap;

use anyhow::Result;
use cargo_lock::Lockfile;
use sysinfo::System;

use crate::report::Machine;

pub fn describe() -> Machine {
    let system = System::new_all();
    let processor = system.cpus().first().map_or("unknown", |cpu| cpu.brand());
    Machine {
        processor: processor.to_owned(),
        cores: system.cpus().len(),
        memory_gib: (system.total_memory() as f64 / f64::from(1 << 30)).round() as u64,
        kernel: System::kernel_long_version(),
    }
}

/// Versions of the compiler and of the crates under comparison.
pub fn versions() -> Result<BTreeMap<String, String>> {
    const COMPARED: [&str; 5] = ["mio", "polling", "pollset", "popol", "rustix"];

    let lockfile: Lockfile = include_str!("../../../Cargo.lock").parse()?;
    let compared =
        lockfile.packages.iter().filter(|package| COMPARED.contains(&package.name.as_str()));
    let mut versions: BTreeMap<_, _> =
        compared.map(|package| (package.name.to_string(), package.version.to_string())).collect();
    versions.insert("rustc".to_owned(), rustc_version_runtime::version().to_string());
    Ok(versions)
}
