//! What a wait on a pollset costs, beside the bare system call on the same descriptors.
//!
//! `cargo run --release -p pollset-bench`

mod crowd;
mod measure;
mod memory;
mod transient;
mod wait;

fn main() -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    wait::one_ready_of_n()?;
    transient::ask_once_and_drop()?;
    memory::per_wait_and_registration()
}
