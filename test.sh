#!/bin/sh
# The gate for a change: format, lints, documentation, and all tests. The tests of the library run on
# each engine, on the portable system calls, and under the sanitizers that are available. Then the
# instruction counts of the hot paths, and the tests of the Python package (python/test.sh).
# Needs Rust, a C compiler, and Python with pip.
set -eu
cd "$(dirname "$0")"

say() { printf '\n== %s (after %s s)\n' "$*" "$(($(date +%s) - start))"; }
start=$(date +%s)

# No test can hang: cargo-nextest ends each test after its time limit (.config/nextest.toml), and
# `timeout` ends the programs that it doesn't run, such as the examples in the documentation.
if ! cargo nextest --version >/dev/null 2>&1; then
    PATH=$PWD/target/tools/bin:$PATH
    if ! cargo nextest --version >/dev/null 2>&1; then
        say "cargo-nextest, into target/tools"
        CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-nextest --quiet --locked --debug \
            --no-default-features --features default-no-update --root target/tools
    fi
fi
export NEXTEST_PROFILE=${POLLSET_LONG:+long}
[ -n "$NEXTEST_PROFILE" ] || unset NEXTEST_PROFILE
host=$(rustc --print host-tuple | tr '[:lower:]-' '[:upper:]_')
runner="timeout --foreground --verbose --signal=KILL ${POLLSET_LONG:+6}10m"
export "CARGO_TARGET_${host}_RUNNER=$runner"

if cargo fmt --version >/dev/null 2>&1; then
    say "format"
    cargo fmt --all --check
else
    say "format: SKIPPED, this Rust has no rustfmt"
fi

if cargo clippy --version >/dev/null 2>&1; then
    say "lints"
    cargo clippy --workspace --all-targets --features pollset-fuzz/arbitrary --locked -- -D warnings
    RUSTFLAGS="--cfg pollset_portable" CARGO_TARGET_DIR=target/portable \
        cargo clippy --package pollset --package pollset-fuzz --package pollset-c --all-targets --locked \
        -- -D warnings
else
    say "lints: SKIPPED, this Rust has no clippy"
fi

# The workspace of the guided fuzzer has a lock file of its own.
cargo metadata --locked --manifest-path fuzz/Cargo.toml --format-version 1 >/dev/null

say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

say "tests"
cargo nextest run --workspace --locked
cargo test --workspace --doc --locked
# `--workspace`, also for one test: with other packages the dependencies would be built again, since
# they would have other features.
cargo test --workspace --test stress --locked

for engine in poll epoll; do
    say "tests of the library with every wait on $engine"
    POLLSET_ENGINE=$engine cargo nextest run --workspace --locked -E 'package(pollset) & binary(suite)'
done

say "tests of the library on the system calls that every Unix has"
RUSTFLAGS="--cfg pollset_portable" CARGO_TARGET_DIR=target/portable \
    cargo nextest run --package pollset --package pollset-fuzz --package pollset-c --locked \
    -E 'not package(pollset-c) or binary(in_c) - test(valgrind) - test(sanitizers)'
RUSTFLAGS="--cfg pollset_portable" RUSTDOCFLAGS="--cfg pollset_portable" \
    CARGO_TARGET_DIR=target/portable cargo test --package pollset --doc --locked

if valgrind --version >/dev/null 2>&1; then
    say "instructions of the hot paths"
    cargo run --release --package pollset-count --locked
else
    say "instructions of the hot paths: SKIPPED, there is no valgrind"
fi

./sanitize.sh

say "binding of libpollset for LuaJIT"
crates/c/tests/lua/run.sh

python/test.sh

say "all passed"
