#!/bin/sh
# Runs the library's tests, random programs and the command on other processors and on another C
# library, on Linux on x86-64, and prints a table.
#
#   ci/processors.sh [TARGET...]
#
#   i686-unknown-linux-gnu        32-bit: runs natively
#   aarch64-unknown-linux-gnu     64-bit ARM, in QEMU
#   s390x-unknown-linux-gnu       big-endian, in QEMU
#   x86_64-unknown-linux-musl     musl: runs natively
#
# Without arguments: all of them. For each target it needs
#
# - Rust with that target's standard library: `rustup target add TARGET`. Or from Debian: rustc, cargo
#   and libstd-rust-dev:i386, :arm64, :s390x (after `dpkg --add-architecture`). Debian has none for
#   musl: the script builds it, from rust-src and libunwind-NUMBER-dev.
# - A linker: gcc-i686-linux-gnu, gcc-aarch64-linux-gnu, gcc-s390x-linux-gnu, each with its
#   libc6-dev-*-cross; musl-tools.
# - For QEMU: qemu-user, from Debian 13 on. If the system doesn't run programs of that processor by
#   itself (qemu-user-binfmt), the script has them run in a user namespace, and changes nothing
#   outside of it. That takes Linux 6.7.
# - For the tests of the command: python3, and ip (iproute2).
#
# It says what is missing, goes on with the other targets, and fails at the end. The logs are in
# target/processors. Tests that a system can't run say SKIPPED, or "not tested", and why.
#
# POLLSET_FUZZ is how long random programs run: 1m if it is not set. POLLSET_PARTS names the parts to
# run after the build, all if it is not set: "unit-tests suite suite-on-poll suite-on-epoll stress
# examples random-programs known-programs in-c command served". Each is killed after POLLSET_LIMIT, 1h if
# it is not set: in QEMU each of the suites may take that long.
set -eu
cd "$(dirname "$0")/.."

all="i686-unknown-linux-gnu aarch64-unknown-linux-gnu s390x-unknown-linux-gnu x86_64-unknown-linux-musl"
fuzz=${POLLSET_FUZZ:-1m}
parts=${POLLSET_PARTS:-}
limit=${POLLSET_LIMIT:-1h}
logs=$PWD/target/processors
mkdir -p "$logs"
export CARGO_PROFILE_DEV_DEBUG=0

say() { printf '\n== %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
missing() {
    say "$target: MISSING: $*"
    is_ready=false
}

# The emulator's name of the processor, if it takes one.
emulator_of() {
    case $1 in
    aarch64-*) echo aarch64 ;;
    s390x-*) echo s390x ;;
    esac
}

linker_of() {
    case $1 in
    *-musl) echo musl-gcc ;;
    *) echo "${1%%-*}-linux-gnu-gcc" ;;
    esac
}

# Sets `is_ready`, `options` of cargo, and the linker.
prepare() {
    is_ready=true
    # The code of this project, not that of its dependencies: QEMU is slow.
    options="--locked --target $target"
    for package in pollset pollset-testkit pollset-fuzz; do
        options="$options --config profile.dev.package.$package.opt-level=1"
    done
    name=$(echo "$target" | tr '[:lower:]-' '[:upper:]_')
    linker=$(linker_of "$target")
    flags=
    c_flags=
    has "$linker" || missing "$linker"
    if ! ls "$(rustc --print target-libdir --target "$target")"/libstd-*.rlib >/dev/null 2>&1; then
        sources=$(rustc --print sysroot)/lib/rustlib/src/rust/library
        unwinder=$(ls /usr/lib/llvm-*/lib/libunwind.a 2>/dev/null | tail -1)
        case $target in
        *-musl)
            [ -d "$sources" ] || missing "rust-src, or this target's standard library"
            [ -n "$unwinder" ] || missing "libunwind-NUMBER-dev, or this target's standard library"
            ;;
        *) missing "this target's standard library" ;;
        esac
        # The unwinder is built for glibc, and uses these two functions for messages only.
        flags="-C link-self-contained=no -C relocation-model=static"
        flags="$flags -L native=$(dirname "$unwinder")"
        flags="$flags -C link-arg=-Wl,--defsym=__vfprintf_chk=abort,--defsym=__vsnprintf_chk=abort"
        # Headers of the kernel, which musl-tools has not; and a function of glibc that gcc's unwinder uses.
        c_flags="-static -no-pie -Wl,--defsym=_dl_find_object=abort -idirafter /usr/include"
        c_flags="$c_flags -idirafter /usr/include/x86_64-linux-gnu"
        options="$options -Z build-std=std,panic_unwind,proc_macro,test"
        options="$options -Z build-std-features=system-llvm-libunwind"
        export RUSTC_BOOTSTRAP=1
    fi
    if [ "$target" = "$(rustc --print host-tuple)" ]; then
        return
    fi
    export "CARGO_TARGET_${name}_LINKER=$linker" "CARGO_TARGET_${name}_RUSTFLAGS=$flags"
}

# Runs a command, whose programs may be of the target's processor.
run() {
    emulator=$(emulator_of "$target")
    if [ -z "$emulator" ]; then
        "$@"
        return
    fi
    libraries=/usr/${target%%-*}-linux-gnu
    [ -d "$libraries/lib" ] && export QEMU_LD_PREFIX=$libraries
    # Compared with the times that the tests expect.
    export POLLSET_SLOWNESS=20
    if [ -e "/proc/sys/fs/binfmt_misc/qemu-$emulator" ]; then
        "$@"
    else
        # The shell inside expands these.
        # shellcheck disable=SC2016
        unshare --user --map-root-user --mount sh -euc '
            mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
            cat "/usr/share/qemu/binfmt.d/qemu-$1.conf" >/proc/sys/fs/binfmt_misc/register
            shift
            exec "$@"
        ' sh "$emulator" "$@"
    fi
}

# Adds up the results of tests in a log: "341 passed, 1 failed, 2 skipped".
sum() {
    awk '
        # Not those of a process that a test has started, which runs one of many.
        /^test result:.* 0 filtered out/ { passed += $4; failed += $6 }
        /SKIPPED: / && !/^(test |running)/ { skipped++ }
        END { printf "%d passed, %d failed, %d skipped", passed, failed, skipped }
    ' "$1"
}

# Runs one part, if it is to run, and adds it to the table: NAME COMMAND...
part() {
    part=$1
    shift
    case " build ${parts:-$part} " in
    *" $part "*) ;;
    *) return 0 ;;
    esac
    log=$logs/$target-$part.log
    say "$target: $part"
    outcome=ok
    (run timeout --kill-after=10 "$limit" "$@") >"$log" 2>&1 || outcome=FAILED
    case $part in
    build) what= ;;
    random-programs) what=$(grep ' programs in ' "$log" | tail -1) ;;
    # Without those that are skipped.
    in-c) what=$(awk '/^test result:/ { print $4 " passed, " $6 " failed" }' "$log") ;;
    stress) what=$(grep -c ' changes: ' "$log" || true)" of 3 sets" ;;
    served) what=$(grep -i 'echo\|round\|clients' "$log" | tail -1) ;;
    *) what=$(sum "$log") ;;
    esac
    grep -h 'SKIPPED: \|^not tested' "$log" | sort -u || true
    [ $outcome = ok ] || { is_good=false && tail -30 "$log"; }
    printf '%-27s %-16s %-7s %s\n' "$target" "$part" $outcome "$what" | tee -a "$table"
}

table=$logs/table
: >"$table"
is_good=true
[ $# -gt 0 ] || set -- $all
for target; do
    prepare
    emulator=$(emulator_of "$target")
    if [ -n "$emulator" ] && ! has "qemu-$emulator"; then
        missing "qemu-$emulator"
    fi
    if ! $is_ready; then
        is_good=false
        printf '%-27s %-16s %s\n' "$target" - MISSING >>"$table"
        continue
    fi

    # Always the same packages: with others, cargo compiles the dependencies for other features.
    packages="-p pollset -p pollset-fuzz -p pollset-cli -p pollset-c"
    programs=${CARGO_TARGET_DIR:-target}/$target/debug
    # The options are words.
    # shellcheck disable=SC2086
    test_part() {
        name=$1
        shift
        part "$name" cargo test $options $packages --no-fail-fast "$@" -- --show-output
    }
    # shellcheck disable=SC2086
    part build cargo test $options $packages --no-run
    [ $outcome = ok ] || continue
    test_part unit-tests --lib
    test_part suite --test suite
    for engine in poll epoll; do
        export POLLSET_ENGINE=$engine
        test_part suite-on-$engine --test suite
        unset POLLSET_ENGINE
    done
    # It has no harness, which would take --show-output.
    # shellcheck disable=SC2086
    part stress cargo test $options $packages --test stress
    test_part examples --test examples
    part random-programs "$programs/pollset-fuzz" --duration "$fuzz"
    test_part known-programs --test programs
    export CC="$linker" CFLAGS="$c_flags"
    # Compilers of another processor come without the sanitizers' libraries.
    # shellcheck disable=SC2086
    part in-c cargo test $options $packages --test in_c -- \
        --show-output --skip valgrind --skip sanitizers
    unset CC CFLAGS
    test_part command --bin pollset --test wait --test serve --test abuse --test docs
    part served "$programs/pollset" serve --clients 100 --active 10 --duration 2s
done

say "results"
cat "$table"
$is_good
