#!/bin/sh
# SPDX-License-Identifier: MIT
# axl-model-randomize on the digits network: the bytes depend on the seed alone, on any machine and compiler; external
# data holds the same numbers; a damaged model is refused.
#
#   check_randomize.sh AXL-MODEL-RANDOMIZE
tool=$1
model=$(dirname "$0")/digits/digits.onnx
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

fail()
{
	echo "FAIL: $1"
	exit 1
}

"$tool" --seed 1 "$model" "$work/a.onnx" || fail "seed 1"
"$tool" --seed 1 "$model" "$work/b.onnx" || fail "seed 1, again"
"$tool" --seed 2 "$model" "$work/c.onnx" || fail "seed 2"
cmp -s "$work/a.onnx" "$work/b.onnx" || fail "the same seed gave different bytes"
cmp -s "$work/a.onnx" "$work/c.onnx" && fail "different seeds gave the same bytes"
want="1297001869 94218"
sum=$(cksum <"$work/a.onnx")
[ "$sum" = "$want" ] || fail "checksum of seed 1 is $sum, was $want where the test was written"

"$tool" --seed 1 --external weights.bin "$model" "$work/d.onnx" || fail "--external"
[ "$(wc -c <"$work/d.onnx")" -lt 20000 ] || fail "--external left the weights in the model"
# The external file starts with the first large weight (32x1x3x3 floats), which the plain model holds as raw_data.
hex()
{
	od -An -v -tx1 | tr -d ' \n'
}
first=$(head -c 1152 "$work/weights.bin" | hex)
hex <"$work/a.onnx" | grep -qF "$first" || fail "--external changed the numbers"

head -c 5000 "$model" >"$work/short.onnx"
"$tool" "$work/short.onnx" "$work/e.onnx" 2>"$work/log" && fail "a truncated model was accepted"
grep -q "not a protobuf message" "$work/log" || fail "a truncated model was refused for the wrong reason: $(cat "$work/log")"
echo "PASS"
