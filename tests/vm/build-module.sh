#!/bin/sh
# SPDX-License-Identifier: MIT
#
# axl.ko for one kernel, built from a copy so that the source tree stays as it is; prints its path.
#	build-module.sh HEADERS OUT	HEADERS: the kernel's build folder; OUT: where to build
set -eu
headers=$1 out=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"
for part in Kbuild driver uapi; do
	rsync -a "$top/$part" "$out/"
done
make -C "$headers" M="$out" modules >"$out/build.log" 2>&1 || { grep -aE 'error|warning|\*\*\*' "$out/build.log" | head -20 >&2; exit 1; }
if grep -aq 'warning:' "$out/build.log"; then
	grep -a 'warning:' "$out/build.log" >&2
	exit 1
fi
echo "$out/axl.ko"
