#!/bin/sh
# Builds what is published from the packaged files alone: the crates, and the source distribution of
# the Python package, which is installed into a new environment and used there. Installs libpollset in a
# folder, and compiles its examples with it.
#
# Needs Rust, a C compiler with pkg-config, and Python with pip.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

# Commits are not needed to try it.
say "crates"
cargo package --locked --allow-dirty --package pollset --package pollset-cli

say "libpollset"
root=$PWD/target/packages-c
rm -rf "$root"
DESTDIR=$root PREFIX=/usr crates/c/install.sh
export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_PATH="$root/usr/lib/pkgconfig"
for example in echo pipes; do
    # shellcheck disable=SC2046 # several words
    ${CC:-cc} -Wall -Wextra -Werror -o "$root/$example" "crates/c/examples/$example.c" \
        $(pkg-config --cflags --libs pollset)
done
LD_LIBRARY_PATH=$root/usr/lib "$root/pipes"
LD_LIBRARY_PATH=$root/usr/lib "$root/echo" </dev/null
# shellcheck disable=SC2046 # several words
${CC:-cc} -static -o "$root/pipes" crates/c/examples/pipes.c \
    $(pkg-config --static --cflags --libs pollset)
"$root/pipes"

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
