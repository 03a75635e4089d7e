#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Channel shuffles that convolutions take apart as they read: fewer cycles, in int8 the same bits, in floats the answer, and no
# access without order.
#	shuffle.sh ACCEL FOLDER
set -eu
accel=$1 folder=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/with" "$out/without"

cycles() {
	sed -n 's/^total: \([0-9]*\) device cycles.*/\1/p' "$1"
}

for target in axl-edge axl-pro; do
	for precision in fp32 fp16 int8; do
		device=sim:target=$target,race-check=1
		"$accel" run "$folder/model.onnx" --device $device --precision $precision --save "$out/with" >"$out/with/text"
		"$accel" run "$folder/model.onnx" --device $device --precision $precision --save "$out/without" --disable shuffle \
			>"$out/without/text"
		if [ "$(cycles "$out/with/text")" -ge "$(cycles "$out/without/text")" ]; then
			echo "$target $precision: $(cycles "$out/with/text") cycles, without the pass $(cycles "$out/without/text")"
			exit 1
		fi
		[ $precision != int8 ] || cmp "$out/with/output_0.npy" "$out/without/output_0.npy"
	done
	"$accel" run "$folder/model.onnx" --device sim:target=$target --data-set "$folder/test_data_set_0" --quiet
done
