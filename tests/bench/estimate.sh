#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The compiler's estimate against the device's cycles, by network and by operator: the error of the whole, and the median and the
# largest of the operators'. Fails above 2 % of a network, 5 % (median) or 20 % (worst) of operators.
#	estimate.sh BUILD MODEL…
set -u
[ $# -ge 2 ] || { sed -n 's/^#	//p' "$0"; exit 2; }
build=$1
shift
report=$(mktemp)
trap 'rm -f "$report"' EXIT
bad=0

printf "%-16s %-8s %-4s %11s %11s %8s %9s %9s %8s\n" network target prec cycles estimate "error %" "median %" "worst %" nodes
for model in "$@"; do
	for target in ${TARGETS:-axl-edge axl-pro}; do
		for precision in ${PRECISIONS:-int8 fp16}; do
			"$build/accel" compile "$model" --target "$target" --precision "$precision" --report "$report" --quiet ||
				{ bad=1; continue; }
			tr -d '\t",' <"$report" | awk -F': ' -v name="$(basename "$model" .onnx)" -v what="$target $precision" '
			function error(a, b) { return 100 * (a > b ? a - b : b - a) / b }
			$1 == "cycles" && !total { total = $2 }
			$1 == "estimated_cycles" { estimate = $2; if (!whole) whole = $2 }
			$1 == "nodes" && !regions { nodes = 1 }
			$1 == "regions" { regions = 1; nodes = 0 }
			# In a node the estimate stands before the cycles. Nodes of less than 64 cycles are borders of others.
			nodes && $1 == "cycles" && $2 >= 64 { list[count++] = error(estimate, $2) }
			END {
				if (!total || !whole || !count) { print name ": no figures"; exit 1 }
				for (i = 1; i < count; i++)
					for (k = i; k && list[k - 1] > list[k]; k--) {
						t = list[k]; list[k] = list[k - 1]; list[k - 1] = t
					}
				split(what, part, " ")
				median = list[int(count / 2)]; worst = list[count - 1]; all = error(whole, total)
				printf "%-16s %-8s %-4s %11d %11d %8.2f %9.2f %9.2f %8d\n", name, part[1], part[2], total, whole,
					all, median, worst, count
				exit all > 2 || median > 5 || worst > 20
			}' || bad=1
		done
	done
done
exit $bad
