#!/bin/sh
# SPDX-License-Identifier: MIT
#
# How far apart a network's preemption points are, on the in-process device: the most cycles from one YIELD to the next of a tile, and
# the most from a request to where all tiles stand (compiler/report/preemption.h). Fails above 100,000 cycles between two YIELDs.
#	yields.sh BUILD MODEL…
set -u
[ $# -ge 2 ] || { sed -n 's/^#	//p' "$0"; exit 2; }
build=$1
shift
report=$(mktemp)
trap 'rm -f "$report"' EXIT
bad=0

printf "%-16s %-8s %-4s %11s %8s %10s %10s\n" network target prec cycles yields distance latency
for model in "$@"; do
	for target in ${TARGETS:-axl-edge axl-pro}; do
		for precision in ${PRECISIONS:-int8 fp16}; do
			"$build/accel" compile "$model" --target "$target" --precision "$precision" --report "$report" --quiet ||
				{ bad=1; continue; }
			tr -d '\t",' <"$report" | awk -F': ' -v name="$(basename "$model" .onnx)" -v target="$target" -v precision="$precision" '
			$1 == "cycles" && !cycles { cycles = $2 }
			$1 == "yields" { yields += $2; regions++ }
			$1 == "yield_distance" && $2 > distance { distance = $2 }
			$1 == "preempt_latency" && $2 > latency { latency = $2 }
			END {
				if (!regions || !distance) { print "NOT RUN: " name, target, precision; exit 1 }
				printf "%-16s %-8s %-4s %11d %8d %10d %10d\n", name, target, precision, cycles, yields, distance, latency
				exit distance > 100000
			}' || bad=1
		done
	done
done
exit $bad
