//! Programs that libFuzzer selects by their code coverage in the library.

#![no_main]

use std::fmt;
use std::sync::{Arc, LazyLock};

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use pollset::Engine;
use pollset_fuzz::{Program, SharedCounts, World, assert_no_fd_leak, engine_name};
use signal_hook::consts::SIGPIPE;

static COUNTS: LazyLock<&SharedCounts> = LazyLock::new(SharedCounts::new);

struct Input {
    engine: Option<Engine>,
    program: Program,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let engine = *bytes.choose(&[None, Some(Engine::Epoll), Some(Engine::Poll)])?;
        Ok(Self { engine, program: bytes.arbitrary()? })
    }
}

/// The format of the files that `pollset-fuzz` runs. `cargo fuzz fmt` prints it.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "// On {}.\n{}", engine_name(self.engine), self.program)
    }
}

fuzz_target!(
    init: {
        // A Rust `main` would ignore SIGPIPE, but libFuzzer's `main` does not.
        signal_hook::flag::register(SIGPIPE, Arc::default()).expect("SIGPIPE can be handled");
    },
    |input: Input| {
        assert_no_fd_leak(|| World::new(input.engine, &COUNTS).run(&input.program));
    }
);
