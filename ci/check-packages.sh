#!/bin/sh
# Builds what is published from the packaged files alone: the crates, and the source distribution of
# the Python package, which is installed into a new environment and used there.
#
# Needs Rust, a C compiler, and Python with pip.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

# Commits are not needed to try it.
say "crates"
cargo package --locked --allow-dirty --package pollset --package pollset-cli

say "source distribution"
folder=target/packages
rm -rf "$folder"
mkdir -p "$folder"
${PYTHON:-python3} -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet build
"$folder/venv/bin/python" -m build --sdist --outdir "$folder" .
mkdir "$folder/elsewhere"
cd "$folder/elsewhere"
python=../venv/bin/python
"$python" -m pip install --quiet ../pollset-*.tar.gz
"$python" -I -W error ../../../ci/smoke.py
