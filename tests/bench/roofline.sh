#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Device cycles of networks against their roofline R (compiler/report/roofline.h), and against the bound of layers one after the other
# (compiler/report/in_order.h): one line a network, target and precision.
#	roofline.sh BUILD MODEL|FOLDER…		a model, a folder with model.onnx, or a folder of such folders
# TARGETS and PRECISIONS (of the environment) choose less: TARGETS="axl-edge" PRECISIONS="int8 fp16" are the defaults' parts.
set -u
[ $# -ge 2 ] || { sed -n 's/^#	//p' "$0"; exit 2; }
build=$1
shift
report=$(mktemp)
trap 'rm -f "$report"' EXIT
bad=0

# A figure of the report's outermost object, or of its "roofline".
figure() {
	sed -n "s/^$1\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$report" | head -1
}

line() {
	if ! "$build/accel" compile "$1" --target "$3" --precision "$4" --report "$report" --quiet; then
		echo "FAILED: $2 $3 $4"
		bad=1
		return
	fi
	if [ -n "$(figure '	' not_run)" ]; then
		echo "NOT RUN: $2 $3 $4: $(figure '	' not_run)"
		bad=1
		return
	fi
	awk -v name="$2" -v target="$3" -v precision="$4" -v cycles="$(figure '	' cycles)" -v r="$(figure '		' cycles)" \
		-v bound="$(figure '		' bound)" -v mac="$(figure '	' mac_utilisation)" \
		-v order="$(figure '		' in_order_share)" \
		-v traffic="$(figure '	' traffic)" -v estimate="$(figure '	' estimated_cycles)" 'BEGIN {
		printf "%-16s %-8s %-4s %11d %11d %6.1f %-6s %8.1f %6.1f %8.2f %11d %+7.1f\n", name, target, precision, cycles, r,
			100 * r / cycles, bound, 100 * order, 100 * mac, traffic, estimate, 100 * (estimate - cycles) / cycles
	}'
}

network() {
	for target in ${TARGETS:-axl-edge axl-pro}; do
		for precision in ${PRECISIONS:-int8 fp16}; do
			line "$1" "$2" "$target" "$precision"
		done
	done
}

printf "%-16s %-8s %-4s %11s %11s %6s %-6s %8s %6s %8s %11s %7s\n" network target prec cycles R "% of R" bound "in order" "MAC %" traffic \
	estimate "est. %"
for model in "$@"; do
	[ -f "$model" ] && network "$model" "$(basename "$model" .onnx)"
	for file in "$model"/model.onnx "$model"/*/model.onnx; do
		[ -f "$file" ] && network "$file" "$(basename "$(dirname "$file")")"
	done
done
exit $bad
