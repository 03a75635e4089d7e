#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make install into an empty folder, then a C and a C++ program against what lies there, found by pkg-config, linked to the shared
# library. Also runs the installed command.
#	install.sh BUILD
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
config=$(find "$root" -name accel.pc)
[ -n "$config" ] || { echo "no accel.pc is installed"; exit 1; }
libraries=$(dirname "$(dirname "$config")")
export PKG_CONFIG_PATH="$(dirname "$config")" PKG_CONFIG_SYSROOT_DIR="$root" LD_LIBRARY_PATH="$libraries"
flags=$(pkg-config --cflags --libs accel)
for compiler in "cc -std=c11" "c++ -std=c++17 -x c++"; do
	$compiler -Wall -Wextra -Werror "$here/example.c" -x none $flags -o "$root/example"
	"$root/example"
	ldd "$root/example" | grep -q 'libaccel.so.0 => ' || { echo "it is not linked to the shared library"; exit 1; }
done
"$(find "$root" -name accel -type f -path '*/bin/*')" info >/dev/null
