#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_random for a time on a QEMU whose every object is under AddressSanitizer and UBSan; what either says is a failure.
#	fuzz.sh BUILD SECONDS [SEED]
# The QEMU is AXL_QEMU_SANITIZED; without it, it is built (tests/vm/build-qemu.sh) from the sources in AXL_CACHE.
set -eu
build=$1 seconds=$2 seed=${3:-0}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${AXL_QEMU_SANITIZED:-}" ]; then
	cache=${AXL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/axl}
	assignments=$(sh "$here/../vm/sources.sh" "$cache")
	eval "$assignments"
	AXL_QEMU_SANITIZED=$(sh "$here/../vm/build-qemu.sh" "$QEMU_TARBALL" "$cache" sanitized)
fi
# QEMU 10.0.2 loses three bytes of each device there (map_noreserve_effective).
echo "leak:qemu_ram_mmap" >"$work/leaks"
export AXL_QEMU="$AXL_QEMU_SANITIZED" AXL_TEST_SEED="$seed" AXL_TEST_SECONDS="$seconds"
export ASAN_OPTIONS="fast_unwind_on_malloc=0" LSAN_OPTIONS="suppressions=$work/leaks:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1"
"$build/tests/qemu/test_qemu_random"
