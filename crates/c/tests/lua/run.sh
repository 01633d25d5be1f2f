#!/bin/sh
# Tests the binding for LuaJIT, with the LuaJIT of the Python package lupa, in target/lua.
# Needs Rust, and Python with pip.
set -eu
cd "$(dirname "$0")/../../../.."

venv=target/lua
"$venv/bin/python" -c 'import lupa.luajit21' 2>/dev/null || {
    ${PYTHON:-python3} -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet 'lupa>=2.2,<3'
}
cargo build --package pollset-c --locked
LIBPOLLSET=$PWD/target/debug/libpollset_c.so "$venv/bin/python" -c '
from lupa.luajit21 import LuaRuntime

lua = LuaRuntime()
lua.execute("package.path = \"crates/c/examples/lua/?.lua\"")
lua.execute("dofile(\"crates/c/tests/lua/test.lua\")")
'
