//! As the module of this name in the library, with forks that only change the generation.

use std::cell::Cell;

thread_local! {
    // loom runs all threads of a model on one thread of the system. Between runs, the number grows.
    static GENERATION: Cell<u32> = const { Cell::new(1) };
}

pub fn process_generation() -> u32 {
    GENERATION.get()
}

/// From now on this is a child. The caller has forgotten the guards of the parent's other threads.
pub fn fork() {
    GENERATION.set(GENERATION.get() + 1);
}
