//! The baseline, `counts.txt`: a line for the toolchain, and one for each path.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt");
const HEAD: &str = "\
# Instructions that one call of each hot path takes, the kernel's not counted.
# Written by: cargo run --release -p pollset-count -- record
";

pub struct Baseline {
    pub toolchain: String,
    pub counts: Vec<(String, u64)>,
}

impl Baseline {
    pub fn read() -> Result<Self> {
        let text = fs::read_to_string(FILE).context(FILE)?;
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let toolchain = lines.next().context("counts.txt is empty")?.to_owned();
        let counts = lines.map(|line| {
            let (count, name) = line.trim_start().split_once("  ").context(line.to_owned())?;
            Ok((name.to_owned(), count.parse()?))
        });
        Ok(Self { toolchain, counts: counts.collect::<Result<_>>()? })
    }

    pub fn write(&self) -> Result<()> {
        let mut text = format!("{HEAD}\n{}\n\n", self.toolchain);
        for (name, count) in &self.counts {
            writeln!(text, "{count:>7}  {name}")?;
        }
        fs::write(FILE, text).context(FILE)
    }

    pub fn count(&self, path: &str) -> Option<u64> {
        self.counts.iter().find(|(name, _)| name == path).map(|&(_, count)| count)
    }
}
