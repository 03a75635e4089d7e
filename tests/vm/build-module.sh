#!/bin/sh
# SPDX-License-Identifier: MIT
#
# axl.ko for one kernel, built from a copy so that the source tree stays as it is; prints its path.
#	build-module.sh HEADERS OUT	HEADERS: the kernel's build folder; OUT: where to build
# AXL_LABELS=1: each label of an error path (err_…) tells the kernel's log when it is reached first, as "axl label FILE:FUNCTION:LABEL"; all of
# them are listed in OUT/labels.
set -eu
headers=$1 out=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out"
for part in Kbuild driver uapi; do
	# By content: a file of an older time than its object may still be another one.
	rsync -rlpc "$top/$part" "$out/"
done
if [ -n "${AXL_LABELS:-}" ]; then
	: >"$out/labels"
	for file in "$out"/driver/axl_*.c; do
		awk -v name="${file##*/}" -v list="$out/labels" '
			/^[a-z].*\(/ { function_name = $0; sub(/\(.*/, "", function_name); sub(/.*[ *]/, "", function_name) }
			{ print }
			/^err_[a-z_]*:$/ {
				label = name ":" function_name ":" substr($0, 1, length($0) - 1)
				printf "\tpr_info_once(\"axl label %s\\n\");\n", label
				print label >>list
			}' "$file" >"$out/labelled"
		cp "$out/labelled" "$file"
	done
fi
make -C "$headers" M="$out" modules >"$out/build.log" 2>&1 || { grep -aE 'error|warning|\*\*\*' "$out/build.log" | head -20 >&2; exit 1; }
if grep -aq 'warning:' "$out/build.log"; then
	grep -a 'warning:' "$out/build.log" >&2
	exit 1
fi
echo "$out/axl.ko"
