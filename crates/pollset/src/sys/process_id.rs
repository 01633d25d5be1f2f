//! The generation of a process, where the kernel has no memory that it wipes in a forked child.

/// A number that is not 0 and differs between a process and its ancestors, unless an ancestor that
/// has ended had the same id.
pub fn process_generation() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get() as u32
}
