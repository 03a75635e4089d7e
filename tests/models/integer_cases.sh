#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Random integer operators on the device and on the CPU against ONNX Runtime, bit for bit.
#	ORT_LIB=… integer_cases.sh BUILD [BATCHES [CASES]]	default: 10 batches of 100 cases of each kind
#
# Sums (QLinearConv, QDQ Conv, …) are compared with ONNX Runtime as it runs them, steps (QDQ Add, pools) with ONNX Runtime
# that rewrites nothing: its fused QLinearAveragePool rounds elsewhere than the operators that it stands for.
# Exit 77 without ORT_LIB or python3-onnx.
set -u
build=$1 batches=${2:-10} cases=${3:-100}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-/usr/bin/python3}
[ -n "${ORT_LIB:-}" ] || { echo "ORT_LIB is not set"; exit 77; }
"$python" -c 'import onnx' 2>/dev/null || { echo "no python3-onnx"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0 compared=0

compare() {
	kind=$1 seed=$2 device=$3
	"$build/accel" run "$work/model.onnx" --device "$device" --data-set "$work/set" --rtol 0 --atol 0 >"$work/log" 2>&1
	right=$(grep -c '^output .*: as expected' "$work/log")
	compared=$((compared + right))
	if [ "$right" != "$cases" ]; then
		echo "$kind seed $seed on $device: $right of $cases"
		grep -E 'DIFFERS|^accel' "$work/log" | head -5
		bad=1
	fi
}

seed=1
while [ $seed -le "$batches" ]; do
	for kind in sums steps; do
		option=
		[ $kind = steps ] && option=--unoptimized
		rm -rf "$work/inputs" "$work/set"
		"$python" "$here/make_integer_cases.py" --out "$work" --seed $seed --cases "$cases" --kind $kind || exit 2
		"$build/tests/models/axl-compare-ort" $option --data-set "$work/inputs" --write-data-set "$work/set" "$work/model.onnx" >"$work/log" 2>&1 ||
			{ tail -3 "$work/log"; exit 2; }
		compare $kind $seed sim:
		compare $kind $seed cpu
	done
	seed=$((seed + 1))
done
echo "$compared outputs are ONNX Runtime's, bit for bit"
exit $bad
