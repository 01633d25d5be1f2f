//! What a wait on a pollset costs, beside the bare system calls on the same descriptors.
//!
//! `cargo run --release -p pollset-bench [TABLE...]`

mod bare;
mod churn;
mod crowd;
mod measure;
mod memory;
mod ours;
mod ready;
mod transient;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use comfy_table::presets::ASCII_MARKDOWN;

/// Measure pollset beside the bare system calls: medians of alternated rounds, in one run
#[derive(Parser)]
struct Arguments {
    /// What to print [default: all]
    #[arg(value_enum)]
    tables: Vec<Table>,
}

/// The descriptions are the titles.
#[derive(Clone, Copy, ValueEnum)]
enum Table {
    /// One ready of n; ns a wait. Of eventfds, one descriptor each: 19,000 fit under a limit of 20,000
    ReadyOne,
    /// k ready of n unix sockets, evenly spread; ns a wait
    ReadyShare,
    /// Beside 5,000 idle ones, a connection is made, registered, readable, read, unregistered and closed; µs each
    Churn,
    /// A new object that is asked once about n descriptors and dropped; ns
    Transient,
    /// What a set allocates, once it has chosen its engine
    Memory,
}

impl Table {
    fn print(self) -> Result<()> {
        let mut rows = match self {
            Table::ReadyOne => ready::one_of_n()?,
            Table::ReadyShare => ready::share_of_n()?,
            Table::Churn => churn::connections()?,
            Table::Transient => transient::ask_once_and_drop()?,
            Table::Memory => memory::per_wait_and_registration()?,
        };
        let named = self.to_possible_value().expect("no table is hidden");
        let title = named.get_help().expect("each has a description");
        rows.load_style(ASCII_MARKDOWN);
        println!("{}: {title}\n\n{rows}\n", named.get_name());
        Ok(())
    }
}

fn main() -> Result<()> {
    let Arguments { tables } = Arguments::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let tables = if tables.is_empty() { Table::value_variants() } else { &tables };
    tables.iter().try_for_each(|table| table.print())
}
