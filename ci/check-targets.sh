#!/bin/sh
# Compiles the library, the command and libpollset for each system that README.md claims, without linking them.
#
#   ci/check-targets.sh             all of them
#   ci/check-targets.sh TARGET...   these
#
# Needs, for each target, its standard library (`rustup target add`), or the sources of the standard
# library (`rustup component add rust-src`, or the package rust-src of Debian), which are compiled
# then: a minute for each target.
set -eu
cd "$(dirname "$0")/.."

all="
    x86_64-unknown-linux-gnu
    i686-unknown-linux-gnu
    aarch64-unknown-linux-gnu
    s390x-unknown-linux-gnu
    x86_64-unknown-linux-musl
    aarch64-linux-android
    aarch64-apple-darwin
    x86_64-unknown-freebsd
    x86_64-unknown-netbsd
    x86_64-unknown-openbsd
    x86_64-unknown-illumos
"
failed=
for target in ${*:-$all}; do
    build_std=
    if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
        # A stable Rust compiles the standard library, too, if it is told to allow that.
        export RUSTC_BOOTSTRAP=1
        build_std="-Z build-std=std,panic_abort"
    fi
    # shellcheck disable=SC2086 # the flags are two words
    if RUSTFLAGS="-D warnings" CARGO_TARGET_DIR=target/targets \
        cargo check --quiet --locked $build_std --target "$target" \
        --package pollset --features pollset/bindings --package pollset-cli --package pollset-c; then
        echo "$target: compiles"
    else
        failed="$failed $target"
    fi
    unset RUSTC_BOOTSTRAP
done
if [ -n "$failed" ]; then
    echo "error: does not compile for$failed" >&2
    exit 1
fi
