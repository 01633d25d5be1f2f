//! Programs that libFuzzer chooses by what they reach in the library.

#![no_main]

use std::fmt;
use std::sync::{Arc, LazyLock};

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use pollset::Engine;
use pollset_fuzz::{Program, SharedCounts, World, leaving_nothing_open};
use signal_hook::consts::SIGPIPE;

static COUNTS: LazyLock<&SharedCounts> = LazyLock::new(SharedCounts::new);

struct Input {
    engine: Engine,
    program: Program,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let engine = *bytes.choose(&[Engine::Auto, Engine::Epoll, Engine::Poll])?;
        Ok(Self { engine, program: bytes.arbitrary()? })
    }
}

/// As in the files that `pollset-fuzz` runs: this is what `cargo fuzz fmt` prints.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "// On {:?}.\n{}", self.engine, self.program)
    }
}

fuzz_target!(
    init: {
        // Rust ignores it before `main`, which isn't Rust's here.
        signal_hook::flag::register(SIGPIPE, Arc::default()).expect("it may be handled");
    },
    |input: Input| {
        leaving_nothing_open(|| World::new(input.engine, &COUNTS).run(&input.program));
    }
);
