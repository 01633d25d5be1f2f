#!/bin/sh
# The library's tests under the sanitizers that come with a nightly Rust: its memory, what it leaks,
# and what orders its threads; and under Miri, what makes no system calls. What is not at hand is
# left out, and said to be.
set -eu
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }

if ! host=$(rustc +nightly --print host-tuple 2>/dev/null); then
    say "sanitizers: SKIPPED, there is no nightly Rust"
    exit 0
fi

# Each needs all of the code to be compiled anew.
with() {
    sanitizer=$1
    flags=$2
    shift 2
    if ! rustc +nightly --print cfg "-Zsanitizer=$sanitizer" $flags >/dev/null 2>&1; then
        say "SKIPPED: this nightly Rust has no such sanitizer here"
        return
    fi
    RUSTFLAGS="-Zsanitizer=$sanitizer $flags" CARGO_TARGET_DIR="target/$sanitizer" \
        cargo +nightly test --package pollset --target "$host" --locked "$@"
}

# Two tests stand for a forked child, which leaves to itself what its parent's threads were changing.
# And the bounds of the audit don't hold here, where its code is slower.
say "AddressSanitizer and LeakSanitizer"
with address "" --lib -- --skip taken_by_half --skip engines_that_start_over
with address "" --test suite -- --skip epoll::audit

# The standard library is not built for it, hence the second flag; and only one test avoids those
# parts of it that this makes look like races.
say "ThreadSanitizer"
with thread "-Cunsafe-allow-abi-mismatch=sanitizer" --test stress

if cargo +nightly miri --version >/dev/null 2>&1; then
    say "Miri"
    CARGO_TARGET_DIR=target/miri cargo +nightly miri test --package pollset --locked --lib -- \
        choice engine registrations timeout wait
else
    say "Miri: SKIPPED, this nightly Rust comes without it"
fi
