#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every pass of the compiler may be left out, and the answers stay; a name that no pass has is refused.
#	disable.sh ACCEL FOLDER…	folders with a model (*.onnx) and test_data_set_0
set -eu
accel=$1
shift

passes=$("$accel" compile --help | sed -n '/--disable/,/--explain/p' | sed '1d;$d' | awk '{ print $1 }')
[ "$(echo "$passes" | wc -l)" -ge 10 ] || { echo "--help names too few passes: $passes"; exit 1; }

for folder in "$@"; do
	for pass in $passes "$(echo $passes | tr ' ' ',')"; do
		for target in axl-edge axl-pro; do
			"$accel" run "$folder"/*.onnx --data-set "$folder/test_data_set_0" --device sim:target=$target \
				--disable "$pass" --rtol 1e-3 --atol 1e-4 --quiet ||
				{ echo "$folder on $target without $pass: wrong"; exit 1; }
		done
	done
done

code=0
"$accel" compile "$1"/*.onnx --disable no-such-pass --quiet 2>/dev/null || code=$?
[ $code = 2 ] || { echo "an unknown pass ended with $code"; exit 1; }
