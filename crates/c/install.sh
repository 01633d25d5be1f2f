#!/bin/sh
# Builds and installs libpollset: the shared and the static library, the header, the file of pkg-config,
# the manual pages.
#
#   crates/c/install.sh                                 in /usr/local
#   PREFIX=/usr DESTDIR=/tmp/root crates/c/install.sh   in /tmp/root/usr, to be moved to /usr
#
#   LIBDIR    where the libraries go (default: PREFIX/lib)
#
# Needs Rust. cargo-c does the same: see README.md.
set -eu
cd "$(dirname "$0")"

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
destination=${DESTDIR:-}
version=$(sed -n 's/^#define POLLSET_VERSION "\(.*\)"/\1/p' include/pollset.h)
major=${version%%.*}

cargo build --release --locked --lib
target=$(cargo metadata --no-deps --locked --format-version 1 |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')

mkdir -p "$destination$libdir/pkgconfig" "$destination$prefix/include" \
    "$destination$prefix/share/man/man3"
install -m 644 include/pollset.h "$destination$prefix/include/"
install -m 644 man/*.3 "$destination$prefix/share/man/man3/"
install -m 644 "$target/release/libpollset_c.a" "$destination$libdir/libpollset.a"
case $(uname) in
Darwin)
    library=libpollset.$major.dylib
    install -m 755 "$target/release/libpollset_c.dylib" "$destination$libdir/$library"
    ln -sf "$library" "$destination$libdir/libpollset.dylib"
    ;;
*)
    library=libpollset.so.$version
    install -m 755 "$target/release/libpollset_c.so" "$destination$libdir/$library"
    ln -sf "$library" "$destination$libdir/libpollset.so.$major"
    ln -sf "libpollset.so.$major" "$destination$libdir/libpollset.so"
    ;;
esac
sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$libdir|" -e "s|@VERSION@|$version|" pollset.pc.in \
    >"$destination$libdir/pkgconfig/pollset.pc"
