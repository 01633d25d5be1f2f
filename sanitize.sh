#!/bin/sh
# The library's tests under the sanitizers of a nightly Rust: for memory errors, leaks and data races;
# and under Miri, those that make no system calls. Sanitizers that are not available are skipped with
# a message.
set -eu
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }

if ! host=$(rustc +nightly --print host-tuple 2>/dev/null); then
    say "sanitizers: SKIPPED, there is no nightly Rust"
    exit 0
fi

# Each needs a build of all code.
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

# Two tests simulate a forked child, which leaks values that threads of its parent were changing. The
# policy has no unsafe code, and its simulations take long. The bounds of the audit are for its code
# without a sanitizer. More threads than processors, since most tests wait most of their time.
say "AddressSanitizer and LeakSanitizer"
with address "" --lib -- \
    --skip child_takes_all_changes --skip after_a_fork --skip policy::
with address "" --test suite -- --test-threads=6 --skip epoll::audit

# The second flag: the standard library is not built for it. Parts of that look like races therefore,
# and only one test avoids them.
say "ThreadSanitizer"
with thread "-Cunsafe-allow-abi-mismatch=sanitizer" --test stress

if cargo +nightly miri --version >/dev/null 2>&1; then
    say "Miri"
    CARGO_TARGET_DIR=target/miri cargo +nightly miri test --package pollset --locked --lib -- \
        policy probing engine registrations --skip after_a_fork
else
    say "Miri: SKIPPED, this nightly Rust has no Miri"
fi
