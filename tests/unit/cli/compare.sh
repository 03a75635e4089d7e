#!/bin/sh
# SPDX-License-Identifier: MIT
#
# accel compare: the same answers are called the same, and where they part the first layer is the one that makes the difference.
#	compare.sh ACCEL MODEL	a float network that starts with a convolution
set -eu
accel=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
	wanted=$1 code=0
	shift
	"$accel" compare "$@" >"$folder/out" 2>"$folder/err" || code=$?
	[ $code = "$wanted" ] || { echo "compare $*: ended with $code"; cat "$folder/out" "$folder/err"; exit 1; }
}

expect 0 cpu sim: "$model" --json "$folder/json"
grep -q '^no layer differs' "$folder/out"
grep -q '"differs": false' "$folder/json"
if grep -q '"differs": true\|first_difference' "$folder/json"; then
	echo "what should not be there"
	exit 1
fi
# Tiles change no bit.
expect 0 sim: sim:target=axl-pro "$model" --rtol 0 --atol 0

# In 8 bits the first convolution is already another; nothing before it is.
expect 1 cpu sim:@int8 "$model" --rtol 1e-4 --json "$folder/json"
first=$(sed -n 's/^first layer that differs: \([^ ]*\) (Conv), value .*/\1/p' "$folder/out")
[ -n "$first" ] || { echo "no first layer is named"; cat "$folder/out"; exit 1; }
sed -n 's/^\t*"node": "\(.*\)",/\1/p' "$folder/json" | head -n 1 | grep -qx "$first"
grep -q '"first_difference": "' "$folder/json"
# With room for it, nothing differs; fp32 and int8 are sides of their own.
expect 0 fp32 int8 "$model" --rtol 1e9 --atol 1e9
# On the standard output there is nothing but the JSON.
expect 1 fp32 int8 "$model" --rtol 1e-4 --json -
[ "$(head -c 1 "$folder/out")" = '{' ]
[ "$(tail -n 1 "$folder/out")" = '}' ] || { echo "text around the JSON"; exit 1; }

expect 2 cpu sim: "$folder/none.onnx"
grep -q 'none.onnx' "$folder/err"
expect 2 cpu sim:
grep -q 'which model' "$folder/err"
expect 2 cpu sim: "$model" more
grep -q "'more' is too much" "$folder/err"
expect 2 cpu sim:target=none "$model"
grep -q 'sim:target=none' "$folder/err"
expect 2 cpu sim: "$model" --json "$folder/none/json"
grep -q 'none/json' "$folder/err"
