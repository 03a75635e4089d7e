#!/bin/sh
# SPDX-License-Identifier: MIT
#
# accel quantize on the digits networks: accuracy of the result on the device, its form, and what is refused.
#	quantize.sh ACCEL [COMPARE]		COMPARE: axl-compare-ort; with ORT_LIB, ONNX Runtime must read and agree, too
set -u
accel=$1 compare=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
digits=$here/digits
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

fail() {
	echo "FAILED: $*"
	bad=1
}

# right MODEL [OPTION…]: predictions that are right
right() {
	"$accel" run "$@" --samples "$digits/test_images.npy" --labels "$digits/test_labels.npy" --json "$work/run.json" >"$work/log" 2>&1 ||
		tail -1 "$work/log" >&2
	sed -n 's/.*"right": \([0-9]*\).*/\1/p' "$work/run.json"
}

# refused CODE TEXT ARGUMENT…: ends with that exit code and says that
refused() {
	code=$1 text=$2
	shift 2
	"$accel" "$@" >"$work/log" 2>&1
	got=$?
	[ $got = "$code" ] || fail "exit code $got instead of $code: $*"
	grep -q "$text" "$work/log" || fail "'$text' is not said by: $* ($(tail -1 "$work/log"))"
}

# accuracy MODEL LOST METHOD TYPE: no more than LOST of 360 are lost
accuracy() {
	model=$1 lost=$2 method=$3 type=$4
	"$accel" quantize "$model" --calibration "$digits/calib_images.npy" --method "$method" --activations "$type" \
		--json "$work/report.json" -o "$work/q.onnx" >"$work/table" || fail "quantize $model $method"
	grep -q '"kept_float": 0' "$work/report.json" || fail "$model $method: a layer is float without a target"
	float=$(right "$model" --device cpu)
	int8=$(right "$work/q.onnx")
	direct=$(right "$model" --precision int8 --calibration "$digits/calib_images.npy" --method "$method")
	echo "$(basename "$model") $method $type: fp32 $float, QDQ file $int8, --precision int8 $direct"
	[ $((float - int8)) -le "$lost" ] || fail "$model $method $type: $int8 of $float"
	[ $((float - direct)) -le "$lost" ] || fail "$model $method --precision int8: $direct of $float"
	"$accel" compile "$work/q.onnx" --explain >"$work/log" 2>&1
	grep '^CPU:' "$work/log" && fail "$model: nodes on the CPU"
	grep -q ' Conv ' "$work/table" || fail "no table of layers"
}

# 0.3 points of 360 are one sample, one point is three.
for method in minmax percentile entropy mse; do
	accuracy "$digits/digits.onnx" 1 $method uint8
	accuracy "$here/digits_depthwise/digits_depthwise.onnx" 3 $method int8
done

# A target: met, with layers kept float and others not; the file says the same as the report. MODEL TARGET MOST-FLOAT
target() {
	"$accel" quantize "$1" --calibration "$digits/calib_images.npy" --target-loss "$2" --json "$work/report.json" \
		-o "$work/mixed.onnx" >/dev/null || fail "--target-loss"
	kept=$(grep -o '"reason": *"kept float for the target"' "$work/report.json" | wc -l)
	[ "$kept" -ge 1 ] && [ "$kept" -le "$3" ] || fail "$1 --target-loss $2 keeps $kept layers float, not 1 to $3"
	loss=$(sed -n 's/.*"loss": *\([0-9.e-]*\).*/\1/p' "$work/report.json")
	awk "BEGIN { exit !($loss <= $2) }" || fail "loss $loss is above the target"
	[ "$(right "$work/mixed.onnx" --precision fp16)" -ge 356 ] || fail "mixed precision of $1"
}
target "$digits/digits.onnx" 0.005 4
target "$here/digits_depthwise/digits_depthwise.onnx" 0.01 6

# Bad input.
mkdir "$work/empty" "$work/nan" "$work/shape"
printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 8, 8), }" >"$work/nan/a.npy"
i=0
while [ $i -lt 64 ]; do
	printf '\000\000\300\177' >>"$work/nan/a.npy"
	i=$((i + 1))
done
sed 's/(1, 1, 8, 8), /(1, 1, 4, 16),/' "$work/nan/a.npy" >"$work/shape/a.npy"
refused 2 "no test_data_set_0" quantize "$digits/digits.onnx" --calibration "$work/empty" -o "$work/x.onnx"
refused 2 "not finite" quantize "$digits/digits.onnx" --calibration "$work/nan" -o "$work/x.onnx"
refused 2 "type and shape" quantize "$digits/digits.onnx" --calibration "$work/shape" -o "$work/x.onnx"
refused 2 "No such file" quantize "$digits/digits.onnx" --calibration "$work/nowhere" -o "$work/x.onnx"
refused 2 "quantized already" quantize "$work/mixed.onnx" --calibration "$digits/calib_images.npy" -o "$work/x.onnx"
refused 2 "calibration DIR is missing" quantize "$digits/digits.onnx" -o "$work/x.onnx"
refused 2 "not minmax" quantize "$digits/digits.onnx" --calibration "$digits/calib_images.npy" --method best -o "$work/x.onnx"
refused 2 "no calibration method" run "$digits/digits.onnx" --precision int8 --method best
refused 2 "not uint8 or int8" quantize "$digits/digits.onnx" --calibration "$digits/calib_images.npy" --activations int4
refused 2 "not a valid" quantize "$digits/digits.onnx" --calibration "$digits/calib_images.npy" --target-loss 0
refused 2 "x.onnx" quantize "$digits/digits.onnx" --calibration "$digits/calib_images.npy" -o "$work/nowhere/x.onnx"
[ -e "$work/x.onnx" ] && fail "a refused quantization has written a file"

# Numbers that fp16 can not hold: said by name, never a silent NaN; float parts of int8 are in bf16 where samples ask for it.
mkdir "$work/big"
head -c 128 "$work/nan/a.npy" >"$work/big/a.npy"
i=0
while [ $i -lt 64 ]; do
	printf '\000\044\164\111' >>"$work/big/a.npy" # 1e6
	i=$((i + 1))
done
refused 0 "logits is not finite: Conv '.*' has numbers up to .*, fp16 holds 65504 .* use --precision bf16" \
	run "$digits/digits.onnx" --precision fp16 --input "image=$work/big/a.npy"
refused 0 "1 of 1 answers are not finite" run "$digits/digits.onnx" --precision fp16 --samples "$work/big/a.npy"
refused 0 "fp16 holds 65504 .*: use bf16" compile "$digits/digits.onnx" --precision fp16 --calibration "$work/big" -o "$work/big.axm"
for precision in bf16 int8; do
	"$accel" run "$digits/digits.onnx" --precision $precision --calibration "$work/big" --input "image=$work/big/a.npy" \
		>"$work/log" 2>&1 || fail "large numbers in $precision"
	grep -q 'not finite\|nan\|inf' "$work/log" && fail "large numbers in $precision: $(grep -m1 'finite\|nan\|inf' "$work/log")"
done

# Another runtime.
if [ -n "${ORT_LIB:-}" ] && [ -n "$compare" ]; then
	for model in "$digits/digits.onnx" "$here/digits_depthwise/digits_depthwise.onnx"; do
		"$accel" quantize "$model" --calibration "$digits/calib_images.npy" -o "$work/q.onnx" --quiet || fail "quantize $model"
		"$compare" --dim N=64 --write-data-set "$work/set" "$work/q.onnx" >"$work/log" 2>&1 || fail "ONNX Runtime: $(tail -1 "$work/log")"
		"$accel" run "$work/q.onnx" --dim N=64 --data-set "$work/set" --rtol 0 --atol 0 >"$work/log" 2>&1 ||
			fail "not ONNX Runtime's outputs: $(grep -m1 output "$work/log")"
		rm -rf "$work/set"
	done
	echo "ONNX Runtime reads the files and gives the same bits"
fi
exit $bad
