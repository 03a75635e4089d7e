#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What each optimisation pays: device cycles of networks with one pass of the compiler left out in turn (--disable), and by how much
# that is slower than with all of them. A column for each network and precision.
#	ablation.sh BUILD MODEL…
# TARGET and PRECISIONS (of the environment) choose: axl-edge, and "int8 fp16", are the defaults. Fails when a run fails.
set -u
[ $# -ge 2 ] || { sed -n 's/^#	//p' "$0"; exit 2; }
build=$1
shift
report=$(mktemp)
trap 'rm -f "$report"' EXIT
target=${TARGET:-axl-edge}
precisions=${PRECISIONS:-int8 fp16}
bad=0

# Of one network: device cycles, from a run where all is on the device, else the estimate of what is.
cycles() { # MODEL PRECISION [OPTION…]
	model=$1 precision=$2
	shift 2
	"$build/accel" compile "$model" --target "$target" --precision "$precision" --report "$report" --quiet "$@" || return
	sed -n 's/^	"cycles": \([0-9]*\),$/\1/p' "$report" | head -1
}

passes=$("$build/accel" compile --help | sed -n '/--disable/,/--explain/p' | sed '1d;$d' | awk '{ print $1 }')
[ "$(echo "$passes" | wc -l)" -ge 10 ] || { echo "--help names too few passes: $passes"; exit 1; }

printf "%-14s" "without"
for model in "$@"; do
	for precision in $precisions; do
		printf " %24s" "$(basename "$model" .onnx) $precision"
	done
done
echo
# The first row, nothing left out, is what the others are compared with.
for pass in none $passes; do
	printf "%-14s" "$pass"
	column=0
	for model in "$@"; do
		for precision in $precisions; do
			column=$((column + 1))
			if [ "$pass" = none ]; then
				now=$(cycles "$model" "$precision")
				eval "all_$column=\$now"
			else
				now=$(cycles "$model" "$precision" --disable "$pass")
			fi
			eval "all=\$all_$column"
			[ -n "$now" ] && [ -n "$all" ] || { printf " %24s" FAILED; bad=1; continue; }
			printf " %24s" "$(awk -v now="$now" -v all="$all" 'BEGIN { printf "%d %+7.2f %%", now, 100 * (now - all) / all }')"
		done
	done
	echo
done
exit $bad
