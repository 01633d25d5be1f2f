//! The first byte chooses the engine, the others are the random numbers that a program is made of.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use pollset::Engine;
use pollset_fuzz::{SharedCounts, World, leaving_nothing_open, programs};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

static COUNTS: LazyLock<&SharedCounts> = LazyLock::new(|| {
    // SAFETY: what Rust does before `main`, which isn't Rust's here.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    SharedCounts::new()
});

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((first, rest)) = bytes.split_first() else { return Corpus::Reject };
    let engine = [Engine::Auto, Engine::Epoll, Engine::Poll][usize::from(*first) % 3];
    let rng = TestRng::from_seed(RngAlgorithm::PassThrough, rest);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let Ok(program) = programs().new_tree(&mut runner) else { return Corpus::Reject };
    leaving_nothing_open(|| World::new(engine, &COUNTS).run(&program.current()));
    Corpus::Keep
});
