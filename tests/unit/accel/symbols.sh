#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The exported symbols of a library are those that its public headers declare, each with a version, and each used by a test.
#	symbols.sh LIBRARY.so TESTS HEADER…
set -u
library=$1 tests=$2 bad=0
shift 2
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sort -u)
# A declaration begins a line, or follows a type there; what is static inline is compiled into its users.
declared=$(cat "$@" | awk '/^static|^[ \t\/*]/ { next } match($0, /\<?accel_[a-z0-9_]+\(/) { print substr($0, RSTART, RLENGTH - 1) }' | sort -u)

[ -n "$exported" ] || { echo "$library exports nothing"; exit 1; }
echo "$exported" | grep -v '@@' && { echo "these have no version"; bad=1; }
exported=$(echo "$exported" | sed 's/@.*//')
[ "$exported" = "$declared" ] || { echo "exported and declared differ:"; printf '%s\n---\n%s\n' "$exported" "$declared"; bad=1; }
for symbol in $declared; do
	grep -rqE "\b$symbol\(" "$tests" || { echo "$symbol: in no test"; bad=1; }
done
exit $bad
