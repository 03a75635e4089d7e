#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What compiling costs: wall clock and processor time (medians of RUNS, 5 unless the environment says) and peak memory, against the
# bounds of 2 s for resnet50, 0.6 s for mobilenetv2 and 3 s for others, and of 3 times the model's weights in fp32 plus 200 MiB. The
# processor time of all threads is what counts as time: it does not depend on what else the machine does.
#	compile_cost.sh BUILD MODEL…
# TARGETS and PRECISIONS (of the environment) choose less or more; axl-edge in int8 is the default.
set -u
[ $# -ge 2 ] || { sed -n 's/^#	//p' "$0"; exit 2; }
build=$1
shift
runs=$(mktemp)
package=$(mktemp)
trap 'rm -f "$runs" "$package"' EXIT
command -v /usr/bin/time >/dev/null || { echo "GNU time is missing (apt-get install time)"; exit 1; }
bad=0

# The weights of the model in fp32, MiB: the package of the CPU holds them as they are.
weights() {
	"$build/accel" compile "$1" --target cpu --output "$package" --quiet || return
	awk -v bytes="$(wc -c <"$package")" 'BEGIN { print bytes / 1048576 }'
}

printf "%-16s %-8s %-4s %8s %8s %6s %9s %9s %9s\n" network target prec "wall s" "cpu s" most "peak MiB" "most MiB" "model MiB"
for model in "$@"; do
	name=$(basename "$model" .onnx)
	size=$(weights "$model")
	[ -n "$size" ] || { echo "FAILED: $name for the CPU"; bad=1; continue; }
	case $name in
	resnet50) most=2 ;;
	mobilenetv2) most=0.6 ;;
	*) most=3 ;;
	esac
	for target in ${TARGETS:-axl-edge}; do
		for precision in ${PRECISIONS:-int8}; do
			: >"$runs"
			for _ in $(seq "${RUNS:-5}"); do
				/usr/bin/time -a -o "$runs" -f "%e %U %S %M" "$build/accel" compile "$model" --target "$target" \
					--precision "$precision" --output "$package" --quiet || { : >"$runs"; break; }
			done
			awk -v name="$name" -v target="$target" -v precision="$precision" -v most="$most" -v size="$size" '
				function median(list,   i, k, t) {
					for (i = 2; i <= NR; i++)
						for (k = i; k > 1 && list[k - 1] > list[k]; k--) {
							t = list[k]; list[k] = list[k - 1]; list[k - 1] = t
						}
					return list[int((NR + 1) / 2)]
				}
				{ wall[NR] = $1; cpu[NR] = $2 + $3; peak[NR] = $4 / 1024 }
				END {
					if (!NR) { print "FAILED: " name, target, precision; exit 1 }
					printf "%-16s %-8s %-4s %8.2f %8.2f %6.1f %9.0f %9.0f %9.0f\n", name, target, precision,
						median(wall), median(cpu), most, median(peak), 3 * size + 200, size
					exit median(cpu) > most || median(peak) > 3 * size + 200
				}' "$runs" || bad=1
		done
	done
done
exit $bad
