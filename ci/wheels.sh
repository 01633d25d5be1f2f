#!/bin/sh
# Builds the wheels that are published, into target/wheels: one for each CPython that pyproject.toml
# names, and for its free-threaded build from 3.14 on, for Linux with glibc 2.17 or later
# (manylinux2014) or with musl 1.2 (musllinux_1_2). Checks them, and uses those for this machine.
#
#   ci/wheels.sh             for all targets
#   ci/wheels.sh TARGET...   for these
#   POLLSET_PYTHONS="python3.9 python3.13" ci/wheels.sh ...
#                            uses them with these Pythons, not with those of the search path
#
# Needs Rust, and Python 3.10 or later with pip; for each target what ci/check-targets.sh needs. It
# installs maturin, zig, which links, auditwheel and twine in target/wheels-tools.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

targets=${*:-"x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
    x86_64-unknown-linux-musl aarch64-unknown-linux-musl"}
pythons=$(sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/python\1/p' pyproject.toml)
pythons="$pythons $(echo "$pythons" | sed -n '/\.1[4-9]$/s/$/t/p')"
wheels=target/wheels
rm -rf "$wheels"

tools=target/wheels-tools
"$tools/bin/twine" --version >/dev/null 2>&1 || {
    ${PYTHON:-python3} -m venv --clear "$tools"
    # Without the Markdown of readme_renderer, twine lets every description pass.
    "$tools/bin/pip" install --quiet \
        'maturin[zig]>=1.16,<2' 'auditwheel>=6.8,<7' 'readme_renderer[md]>=46' 'twine>=6,<8'
}

for target in $targets; do
    say "$target"
    case $target in
        *-musl) platform=musllinux_1_2 ;;
        *) platform=manylinux_2_17 ;;
    esac
    build_std=
    if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
        # A stable Rust compiles the standard library, too, if it is told to allow that.
        export RUSTC_BOOTSTRAP=1
        build_std="-Z build-std=std,panic_abort"
    fi
    # The Pythons need not exist. maturin fails if a wheel needs a library, or a version of one, that
    # the platform doesn't have.
    # shellcheck disable=SC2046,SC2086 # several words each
    PATH=$PWD/$tools/bin:$PATH maturin build --quiet --release --locked --zig $build_std \
        --target "$target" $(printf -- '-i %s ' $pythons) \
        --compatibility "$platform" --auditwheel check --out "$wheels"
    unset RUSTC_BOOTSTRAP

    # auditwheel knows musl only where the system's library is musl.
    [ "$platform" = manylinux_2_17 ] || continue
    for wheel in "$wheels"/*-manylinux*"_${target%%-*}.whl"; do
        audit=$("$tools/bin/auditwheel" show "$wheel")
        case $audit in
            *"is consistent with"*"\"${platform}_${target%%-*}\"."*) ;;
            *) echo "$audit" && exit 1 ;;
        esac
    done
done

say "contents"
"$tools/bin/twine" check --strict "$wheels"/*.whl
"$tools/bin/python" - "$wheels"/*.whl <<'PYTHON'
import os
import pathlib
import sys
import zipfile

paths = pathlib.Path("python/pollset").iterdir()
sources = {f"pollset/{path.name}" for path in paths if path.suffix in {".py", ".pyi", ".typed"}}
for wheel in sys.argv[1:]:
    names = zipfile.ZipFile(wheel).namelist()
    package = [name for name in names if ".dist-info/" not in name]
    extensions = [name for name in package if name.endswith(".so")]
    assert len(extensions) == 1 and {*package} == {*extensions, *sources}, package
    licenses = [os.path.basename(name) for name in names if ".dist-info/licenses/" in name]
    assert sorted(licenses) == ["LICENSE-APACHE", "LICENSE-MIT"], licenses
    print(f"{os.path.getsize(wheel) / 1024:.0f} KiB {os.path.basename(wheel)}")
PYTHON

host=$(rustc -vV | sed -n 's/^host: //p')
echo "$targets" | grep -qw -e "$host" || exit 0
for python in ${POLLSET_PYTHONS:-$pythons}; do
    say "$python"
    if [ -z "${POLLSET_PYTHONS:-}" ] && ! "$python" -c "" 2>/dev/null; then
        echo "SKIPPED: there is no $python"
        continue
    fi
    venv=target/wheels-venv
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --no-index --find-links "$wheels" pollset
    "$venv/bin/python" -I -W error ci/smoke.py
done
