#!/bin/sh
# Tests the Python package. With each Python: the package's tests, and CPython's own tests with
# pollset.poll in place of select.poll. Once: format, lints and types.
#
#   POLLSET_PYTHONS="python3.9 python3.13" python/test.sh    with these Pythons, not with python3
#   POLLSET_LONG=1 python/test.sh                            also longer random programs,
#                                                            frameworks from PyPI, and CPython's
#                                                            tests of modules on select.poll
#
# Needs Rust, a C compiler, and Pythons with pip. It installs other requirements in target/python.
# Without valgrind it skips the test that runs valgrind, and prints the reason.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

tests=python/tests
for python in ${POLLSET_PYTHONS:-python3}; do
    version=$("$python" -c 'import platform, sys; print(platform.python_version() + sys.abiflags)')
    directory=target/python/$version
    venv=$directory/venv/bin

    say "Python $version: the package"
    if ! "$venv/python" -m pip --version >/dev/null 2>&1; then
        "$python" -c 'import ensurepip, venv' || {
            echo "error: $python can't make virtual environments (on Debian: apt install python3-venv)"
            exit 1
        } >&2
        "$python" -m venv --clear "$directory/venv"
    fi
    "$venv/python" -m pip install --quiet 'pip>=25.1'
    "$venv/python" -m pip install --quiet --group test ${POLLSET_LONG:+--group long} .

    say "Python $version: tests"
    # Four files at a time, each in a process of its own: most tests wait most of their time. (Not by
    # pytest-xdist: its workers have a second thread, beside which poll() takes another path.) Those
    # that compare speeds have the processors to themselves. The longest file begins first.
    { echo "$tests/test_kinds.py" && find "$tests" -name "test_*.py" \
        ! -name test_kinds.py ! -name test_other_threads.py; } |
        xargs -n 1 -P 4 sh -c '
            status=0
            output=$("$0" -m pytest --quiet -rs "$1" 2>&1) || status=$?
            printf "%s:\n%s\n" "$1" "$output"
            exit $status
        ' "$venv/python"
    "$venv/python" -m pytest --quiet -rs "$tests/test_other_threads.py"

    say "Python $version: CPython's own tests"
    "$venv/python" "$tests/cpython/run.py" ${POLLSET_LONG:+--long} "$directory/cpython"
done

say "Python: format and lints"
"$venv/ruff" format --check python examples ci
"$venv/ruff" check python examples ci

say "Python: types"
"$venv/mypy" python/pollset python/bench examples/python
"$venv/python" -m mypy.stubtest --allowlist python/stubtest-allowlist.txt pollset
