#!/bin/sh
# Compiles with the oldest versions that the manifests allow: of Rust, and of each dependency. And compiles the
# workspace that has a lock file of its own.
#
# Needs the Rust of `rust-version` in crates/pollset/Cargo.toml, by rustup or as the `cargo` of the
# search path, and a nightly Rust for the dependencies. What is missing is skipped with a message.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

check() {
    manifest=$1
    shift
    version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$manifest")
    say "Rust $version: $*"
    # shellcheck disable=SC2086 # two words
    if cargo "+$version" --version >/dev/null 2>&1; then
        cargo="cargo +$version"
    elif cargo --version | grep -q "^cargo $version\."; then
        cargo=cargo
    else
        echo "SKIPPED: there is no Rust $version"
        return
    fi
    CARGO_TARGET_DIR=target/versions $cargo check --locked "$@"
}
check crates/pollset/Cargo.toml --package pollset --features pollset/bindings
check Cargo.toml --package pollset-cli --package pollset-python

# It needs a compiler of C++, for libFuzzer.
say "the workspace of the guided fuzzer"
CARGO_TARGET_DIR=target/versions cargo check --locked --manifest-path fuzz/Cargo.toml

say "the oldest versions of the dependencies of the library"
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: there is no nightly Rust"
    exit 0
fi
# In a copy without the other crates, and without development dependencies, which don't count. (The
# command is built with the versions of Cargo.lock.)
copy=target/versions/checkout
rm -rf "$copy"
mkdir -p "$copy"
git archive HEAD Cargo.toml crates/pollset | tar -x -C "$copy"
cd "$copy"
sed -i 's|^members = .*|members = ["crates/pollset"]|; /^default-members/d' Cargo.toml
manifest=crates/pollset/Cargo.toml
awk '/^\[/ { skip = /^\[dev-dependencies\]/ || /^\[\[test\]\]/ } !skip' "$manifest" >manifest
mv manifest "$manifest"
cargo +nightly generate-lockfile -Z direct-minimal-versions
CARGO_TARGET_DIR=../target cargo +nightly check --package pollset
