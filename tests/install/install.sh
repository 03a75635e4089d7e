#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make install into an empty folder, then what lies there is used as a stranger would: the examples, in C and C++, found by pkg-config
# and linked to the shared libraries; the command; the manual.
#	install.sh BUILD
set -eu
build=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
fail() {
	echo "$*"
	exit 1
}

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
config=$(find "$root" -name accel.pc)
[ -n "$config" ] || fail "no accel.pc is installed"
libraries=$(dirname "$(dirname "$config")")
prefix=$(dirname "$(dirname "$(find "$root" -path '*/bin/accel')")")
export PKG_CONFIG_PATH="$(dirname "$config")" PKG_CONFIG_SYSROOT_DIR="$root" LD_LIBRARY_PATH="$libraries" ACCEL_CACHE=off

# example NAME PACKAGE ARGUMENT…: as C and as C++.
example() {
	name=$1 package=$2
	shift 2
	flags=$(pkg-config --cflags --libs "$package")
	for compiler in "cc -std=c11 -xc" "c++ -std=c++17 -xc++ -Wno-missing-field-initializers"; do
		$compiler -Wall -Wextra -Werror "$prefix/share/doc/accel/examples/$name.c" -x none $flags -o "$root/$name"
		"$root/$name" "$@"
		ldd "$root/$name" | grep -q "lib$package.so.1 => $libraries" || fail "$name is not linked to the shared library"
	done
}

example fill accel
example run_model accel-runtime "$top/tests/models/digits/digits.onnx"
if "$root/run_model" /nonexistent.onnx 2>"$root/said"; then fail "no model is no error"; fi
grep -q nonexistent "$root/said" || fail "the error does not name the file: $(cat "$root/said")"

[ -f "$prefix/lib/udev/rules.d/60-axl.rules" ] || fail "no udev rule"
"$prefix/bin/accel" info >/dev/null
for page in man1/accel.1 man1/accel-run.1 man3/accel_open.3 man3/accel_session_create.3 man3/accel_queue.h.3; do
	[ -s "$prefix/share/man/$page" ] || fail "no $page"
done
[ -s "$prefix/share/bash-completion/completions/accel" ] || fail "no completion"
