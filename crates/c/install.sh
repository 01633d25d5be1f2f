#!/bin/sh
# Builds and installs libpollset: the shared and the static library, the header, the file of pkg-config,
# the manual pages.
#
#   crates/c/install.sh                            in /usr/local
#   PREFIX=/usr DESTDIR=root crates/c/install.sh   in the folder root/usr, to be moved to /usr
#
#   LIBDIR    where the libraries go (default: PREFIX/lib). Both begin with a slash.
#
# Needs Rust. On Linux, `ldconfig` has to run afterwards as root, unless LIBDIR is in LD_LIBRARY_PATH.
# cargo-c installs the same files: see docs/c.md.
set -eu

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
for folder in "$prefix" "$libdir"; do
    case $folder in
    [!/]* | *[!-A-Za-z0-9/._+~]*)
        echo "install.sh: PREFIX and LIBDIR must be absolute, of letters, digits and ._+~-: $folder" >&2
        exit 2
        ;;
    esac
done
case ${DESTDIR:-} in
'' | /*) destination=${DESTDIR:-} ;;
*) destination=$PWD/$DESTDIR ;;
esac
unset CDPATH
cd -- "$(dirname -- "$0")"
version=$(sed -n 's/^#define POLLSET_VERSION "\(.*\)"/\1/p' include/pollset.h)
major=${version%%.*}

# Cargo knows where it puts the libraries.
messages=$(cargo build --release --locked --lib --message-format=json-render-diagnostics)
archive=$(printf '%s\n' "$messages" | sed -n 's/.*"\([^"]*libpollset_c\.a\)".*/\1/p')
target=$(dirname "$archive")

mkdir -p "$destination$libdir/pkgconfig" "$destination$prefix/include" \
    "$destination$prefix/share/man/man3"
install -m 644 include/pollset.h "$destination$prefix/include/"
install -m 644 man/*.3 "$destination$prefix/share/man/man3/"
install -m 644 "$target/libpollset_c.a" "$destination$libdir/libpollset.a"
case $(uname) in
Darwin)
    library=libpollset.$major.dylib
    install -m 755 "$target/libpollset_c.dylib" "$destination$libdir/$library"
    install_name_tool -id "$libdir/$library" "$destination$libdir/$library"
    ln -sf "$library" "$destination$libdir/libpollset.dylib"
    ;;
*)
    library=libpollset.so.$version
    install -m 755 "$target/libpollset_c.so" "$destination$libdir/$library"
    ln -sf "$library" "$destination$libdir/libpollset.so.$major"
    ln -sf "libpollset.so.$major" "$destination$libdir/libpollset.so"
    ;;
esac
sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$libdir|" -e "s|@VERSION@|$version|" pollset.pc.in \
    >"$destination$libdir/pkgconfig/pollset.pc"
