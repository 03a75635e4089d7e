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

# Before int8 quantization, too: the Erf inside a GELU is seen after it only where no GELU was made of it.
quantized() {
	"$accel" compile "$torch_cnn"/*.onnx --precision int8 --print-after quantize --quiet --output /dev/null "$@" | grep -c 'Erf('
}
torch_cnn=$2
[ "$(quantized || true)" = 0 ] || { echo "int8 leaves an Erf"; exit 1; }
[ "$(quantized --disable gelu)" = 1 ] || { echo "int8 makes a GELU in spite of --disable gelu"; exit 1; }

code=0
"$accel" compile "$1"/*.onnx --disable no-such-pass --quiet 2>/dev/null || code=$?
[ $code = 2 ] || { echo "an unknown pass ended with $code"; exit 1; }
