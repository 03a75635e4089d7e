#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Any model on the device in a guest, through the driver, beside the model of the device in this process: the same outputs byte for byte,
# the same cycles. Prints a line for each; the status says whether all were the same.
#	compare.sh BUILD MODEL…
# From the environment: PRECISIONS (default: fp32 fp16 int8), VM_KERNEL (default: stock), MEMORY of the guest (default: 6G)
set -eu
build=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/compare"
: >"$work/compare/list"
number=0
for model in "$@"; do
	number=$((number + 1))
	cp -L "$model" "$work/compare/$number.onnx"
	for precision in ${PRECISIONS:-fp32 fp16 int8}; do
		expected=$work/compare/$number.$precision
		mkdir "$expected"
		"$build/accel" run "$model" --precision "$precision" --seed 7 --save "$expected" >"$work/run"
		sed -n 's/^total: \([0-9]*\) device cycles.*/\1/p' "$work/run" >"$expected/cycles"
		[ -s "$expected/cycles" ] || { echo "$model in $precision: no cycles told" >&2; exit 1; }
		echo "$number $precision $model" >>"$work/compare/list"
	done
done
MEMORY=${MEMORY:-6G} VM_TIMEOUT=${VM_TIMEOUT:-3000} VM_FILES="$work/compare" sh "$here/vm.sh" "$build" "${VM_KERNEL:-stock}" compare
