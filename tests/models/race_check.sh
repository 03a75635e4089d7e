#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run every model of a folder in race-check mode: each network, precision and target must end without AXL_CAUSE_RACE or
# AXL_CAUSE_UNINITIALIZED, with the same cycles as without the check.
#	race_check.sh BUILD MODEL|FOLDER…	a model, a folder with model.onnx, or a folder of such folders
set -u
build=$1
shift
bad=0

cycles() {
	sed -n 's/^total: \([0-9]*\) device cycles.*/\1/p' "$1"
}

check() {
	model=$1 name=$2
	for target in axl-edge axl-pro; do
		for precision in int8 fp16 fp32; do
			plain=$(mktemp) checked=$(mktemp)
			"$build/accel" run "$model" --device "sim:target=$target" --precision $precision >"$plain" 2>&1
			if "$build/accel" run "$model" --device "sim:target=$target,race-check=1" --precision $precision >"$checked" 2>&1 &&
				[ -n "$(cycles "$checked")" ] && [ "$(cycles "$plain")" = "$(cycles "$checked")" ]; then
				echo "clean  $name $target $precision $(cycles "$checked") cycles"
			else
				echo "FAILED $name $target $precision: $(tail -1 "$checked")"
				bad=1
			fi
			rm -f "$plain" "$checked"
		done
	done
}

for folder in "$@"; do
	[ -f "$folder" ] && check "$folder" "$(basename "$folder")"
	for model in "$folder"/model.onnx "$folder"/*/model.onnx; do
		[ -f "$model" ] && check "$model" "$(basename "$(dirname "$model")")"
	done
done
exit $bad
