#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each exported symbol of libaccel is in the version script, declared in a public header, and used by a test; and nothing else is.
#	symbols.sh LIBRARY.so SOURCE-DIRECTORY
set -u
library=$1 top=$2 bad=0
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u)
mapped=$(sed -n 's/^\t\(accel_[a-z_]*\);$/\1/p' "$top/libaccel/libaccel.map" | sort -u)

[ -n "$exported" ] || { echo "$library exports nothing"; exit 1; }
[ "$exported" = "$mapped" ] || { echo "exported and mapped differ:"; printf '%s\n---\n%s\n' "$exported" "$mapped"; bad=1; }
for symbol in $mapped; do
	grep -qE "\b$symbol\(" "$top"/libaccel/include/accel/*.h || { echo "$symbol: in no public header"; bad=1; }
	grep -qE "\b$symbol\(" "$top"/tests/unit/accel/*.c || { echo "$symbol: in no test"; bad=1; }
done
exit $bad
