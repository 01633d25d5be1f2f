#!/bin/sh
# Runs the tests of the library under another Linux kernel, in a virtual machine: each test in a
# process of its own, on each engine; the stress test, random programs, and the command.
#
#   ci/kernels.sh VMLINUZ [MODULE...]
#
# VMLINUZ is a kernel image for x86-64, with the console on a serial port, devtmpfs, tmpfs and an
# initramfs compiled in, as distributions have it. The modules (.ko, .ko.xz or .ko.zst) are loaded in
# this order; tun and fuse add kinds of files to the tests. Nothing else of the kernel's package is
# needed. The exit status is 0 if everything passed.
#
#   POLLSET_KERNEL_ENGINES="poll epoll"   these engines (default: auto poll epoll)
#   POLLSET_KERNEL_FUZZ=10m               random programs for this time (default: 1m)
#   POLLSET_KERNEL_TESTS=timeouts         only tests with this in their names, and nothing else
#   POLLSET_KERNEL_RUN=PROGRAM            instead, this program, for example a benchmark
#   POLLSET_KERNEL_LIMIT=300              seconds for each test (default: 180)
#   POLLSET_KERNEL_MEMORY=8G              memory of the machine (default: 2G)
#   POLLSET_KERNEL_ACCEL=tcg              the accelerator of QEMU (default: kvm if the processor has
#                                         it, else tcg, an emulation that is 10 to 50 times slower)
#
# Needs Rust, qemu-system-x86_64, a statically linked busybox, cpio, gzip, ldd, and for compressed
# modules xz or zstd. The programs run with the libraries of the system on which they were built. The
# messages of the kernel and all output go to target/kernels, to a file named like VMLINUZ.
set -eu

[ $# -gt 0 ] || {
    sed -n '2,/^set/s/^#\( \|$\)//p' "$0" >&2
    exit 2
}
kernel=$(realpath "$1")
shift
modules=
for module; do modules="$modules $(realpath "$module")"; done
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

for tool in qemu-system-x86_64 busybox cpio; do
    command -v "$tool" >/dev/null || {
        echo "error: $tool is missing" >&2
        exit 2
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/proc" "$root/sys" "$root/tmp" "$root/modules" \
    "$root/tests" "$root/regressions"

say "build"
# An emulator is slow. Assertions and checks of overflow stay.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=1
# The path of the program that was built from a target of this name.
program() {
    sed -n 's/.*"target":{[^}]*"name":"'"$1"'".*"executable":"\([^"]*\)".*/\1/p' "$work/messages"
}
cargo test --package pollset --lib --test suite --test stress --locked --no-run \
    --message-format=json >"$work/messages"
for name in pollset suite stress; do
    cp "$(program $name)" "$root/tests/$name"
done
cargo build --package pollset-cli --package pollset-fuzz --locked --message-format=json \
    >"$work/messages"
for name in pollset pollset-fuzz; do
    cp "$(program $name)" "$root/bin/$name"
done
cp crates/fuzz/regressions/*.ron "$root/regressions"
if [ -n "${POLLSET_KERNEL_RUN:-}" ]; then
    cp "$POLLSET_KERNEL_RUN" "$root/bin/run"
fi

# The shared libraries, with the paths at which they are looked up.
for binary in "$root"/tests/* "$root"/bin/*; do
    ldd "$binary" | grep -o '/[^ ]*' || true
done | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
# Loaded by the resolver, not linked.
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
printf 'root:x:0:0:root:/tmp:/bin/sh\n' >"$root/etc/passwd"

cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done

number=10
for module in $modules; do
    number=$((number + 1))
    name=$(basename "$module")
    case $name in
        *.xz) xz -dc "$module" ;;
        *.zst) zstd -qdc "$module" ;;
        *) cat "$module" ;;
    esac >"$root/modules/$number-${name%%.ko*}.ko"
done

{
    for variable in ENGINES FUZZ TESTS RUN LIMIT; do
        eval "value=\${POLLSET_KERNEL_$variable:-}"
        printf "%s='%s'\n" "$variable" "$value"
    done
} >"$root/etc/settings"

cat >"$root/init" <<'INIT'
#!/bin/sh
export PATH=/bin HOME=/tmp RUST_BACKTRACE=0
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts devpts /dev/pts -o ptmxmode=666
mount -t mqueue mqueue /dev/mqueue 2>/dev/null
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
for module in /modules/*.ko; do
    [ ! -e "$module" ] || insmod "$module"
done
ip link set lo up
# As a distribution has it: so many, because the tests open many descriptors.
ulimit -n 1048576 || ulimit -n "$(ulimit -Hn)"
stty -onlcr </dev/console
. /etc/settings
LIMIT=${LIMIT:-180}
cd /tmp

say() { printf '\n== %s\n' "$*"; }
failures=0
failed() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
}

# each NAME PROGRAM: each test of the program, in a process of its own.
each() {
    say "tests: $1"
    passed=0 skipped=0 bad=0 start=$(date +%s)
    for test in $("$2" --list --format terse 2>/dev/null | sed -n 's/: test$//p'); do
        case $test in
            policy::*) continue ;; # simulations, which make no system call
            *"$TESTS"*) ;;
            *) continue ;;
        esac
        began=$(date +%s)
        printf .
        if timeout -s KILL "$LIMIT" "$2" --exact "$test" >log 2>&1 && grep -q '1 passed' log; then
            if grep SKIPPED log >skipped; then
                echo
                cat skipped
                skipped=$((skipped + 1))
            else
                passed=$((passed + 1))
            fi
        elif grep -q '1 ignored' log; then
            printf '\nignored: %s\n' "$test"
            skipped=$((skipped + 1))
        else
            bad=$((bad + 1))
            echo
            sed 's/^/    /' log
            failed "$1: $test"
        fi
        took=$(($(date +%s) - began))
        [ $took -lt 20 ] || printf '\nslow: %s, %s s\n' "$test" "$took"
    done
    echo
    echo "$1: $passed passed, $skipped skipped, $bad failed, in $(($(date +%s) - start)) s"
    [ -n "$TESTS" ] || [ "$passed" -gt 0 ] || failed "$1: no test has passed"
}

# try COMMAND...: a program that must succeed.
try() {
    if timeout -s KILL $((LIMIT * 10)) "$@" >log 2>&1; then
        tail -n 12 log
    else
        sed 's/^/    /' log
        failed "$*"
    fi
}

echo
uname -srm
if [ -z "$RUN$TESTS" ]; then
    say "random programs"
    try pollset-fuzz /regressions/*.ron
    try pollset-fuzz --duration "${FUZZ:-1m}"
    say "the command"
    for engine in auto poll epoll; do
        try pollset serve --clients 200 --active 20 --duration 2s --engine "$engine"
    done
    (sleep 1; exec pollset serve --listen 127.0.0.1:7007 >/dev/null 2>&1) &
    try pollset wait --timeout 60s tcp:127.0.0.1:7007
    (sleep 1; echo here >new) &
    try pollset wait --timeout 60s new
    try sh -c 'echo data | pollset wait --timeout 60s 0'
    kill %1
fi
if [ -n "$RUN" ]; then
    run || failed run
else
    each library /tests/pollset
    for engine in ${ENGINES:-auto poll epoll}; do
        if [ "$engine" = auto ]; then unset POLLSET_ENGINE; else export POLLSET_ENGINE="$engine"; fi
        each "suite on $engine" /tests/suite
    done
    unset POLLSET_ENGINE
fi
if [ -z "$RUN$TESTS" ]; then
    say "stress"
    try /tests/stress
fi
printf '\n== %s: %s failures\n' "$(uname -r)" "$failures"
sync
poweroff -f
INIT
chmod +x "$root/init"

say "initramfs"
initramfs=$work/initramfs
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$initramfs"
ls -sh "$initramfs" | cut -d' ' -f1

accel=${POLLSET_KERNEL_ACCEL:-tcg}
if [ -z "${POLLSET_KERNEL_ACCEL:-}" ] && [ -w /dev/kvm ] && grep -qE 'vmx|svm' /proc/cpuinfo; then
    accel=kvm
fi
case $accel in
    # Time is counted in instructions, one a nanosecond: no result depends on how busy or slow the
    # machine is. Sleep takes no time. More processors would take turns.
    tcg) machine="-cpu max,la57=off -smp 1 -icount shift=0,sleep=off" ;;
    *) machine="-cpu host -smp 2" ;;
esac
say "$(basename "$kernel") on $accel"
mkdir -p target/kernels
log=target/kernels/$(basename "$kernel").log
qemu-system-x86_64 -accel "$accel" $machine -m "${POLLSET_KERNEL_MEMORY:-2G}" \
    -display none -monitor none -serial stdio -nic none -no-reboot \
    -kernel "$kernel" -initrd "$initramfs" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null | tee "$log"
grep -q "^== .*: 0 failures" "$log"
