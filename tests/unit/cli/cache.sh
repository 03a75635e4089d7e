#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What `accel` says and does about the compile cache.
#	cache.sh ACCEL MODEL
set -eu
accel=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export ACCEL_CACHE="$folder/cache"

bad() {
	echo "FAILED: $*"
	exit 1
}

says() {
	want=$1
	shift
	"$@" >"$folder/out" 2>&1 || bad "$*: $(cat "$folder/out")"
	grep -q -- "$want" "$folder/out" || bad "$*: no '$want' in: $(cat "$folder/out")"
}

[ "$("$accel" run "$model" --no-cache --quiet --verbose)" = "packages: 1 compiled, 0 from the cache" ] || bad "--no-cache"
[ ! -e "$ACCEL_CACHE" ] || bad "--no-cache keeps something"
says 'packages: 1 compiled, 0 from the cache' "$accel" run "$model" --verbose
says 'packages: 0 compiled, 1 from the cache' "$accel" run "$model" --verbose --json "$folder/run.json"
grep -q '"compilations": 0' "$folder/run.json" && grep -q '"from_cache": 1' "$folder/run.json" || bad "run --json"
says 'packages: 0 compiled, 1 from the cache' "$accel" bench "$model" --verbose
says 'packages: 1 compiled, 0 from the cache' "$accel" run "$model" --verbose --cache "$folder/other"
says 'packages: 1 compiled, 0 from the cache' "$accel" run "$model" --verbose --precision fp16

says '2 packages, ' "$accel" cache
says "axl-edge   fp16 .*$model" "$accel" cache --json "$folder/cache.json"
python3 - "$folder/cache.json" "$model" <<'PY' || bad "cache --json"
import json, os, sys
said = json.load(open(sys.argv[1]))
files = [os.path.join(said["folder"], p["file"]) for p in said["packages"]]
assert len(files) == 2 and said["bytes"] == sum(os.path.getsize(f) for f in files)
assert sorted(p["precision"] for p in said["packages"]) == ["fp16", "fp32"]
assert all(p["model"] == sys.argv[2] for p in said["packages"])
PY

# What the compiler said of the model is said of what comes from the cache as well. Its last bytes: opset_import { version }.
python3 - "$model" "$folder/newer.onnx" <<'PY'
import sys
data = open(sys.argv[1], "rb").read()
assert data[-4:-1] == b"\x42\x02\x10"
open(sys.argv[2], "wb").write(data[:-1] + b"\x63")
PY
for n in 1 2; do
	says 'opset 99 of ai.onnx is imported; its operators are taken as in opset [0-9]*,' "$accel" run "$folder/newer.onnx" --json "$folder/run.json"
	grep -q '"opset_note": "opset 99' "$folder/run.json" || bad "no note in: $(cat "$folder/run.json")"
done
grep -q '"from_cache": 1' "$folder/run.json" || bad "not from the cache"
says 'opset 99 of ai.onnx is imported' "$accel" bench "$folder/newer.onnx" --repeat 1
says 'opset 99 of ai.onnx is imported' "$accel" compile "$folder/newer.onnx" -o "$folder/newer.axm"
"$accel" run "$model" --json "$folder/run.json" 2>&1 | grep -q 'is imported' && bad "a note on an opset that is known"
grep -q '"opset_note": ""' "$folder/run.json" || bad "a note on an opset that is known"

# A damaged one: said on standard error, not with --quiet; and the answer is the same.
before=$("$accel" run "$model" --cache off | grep '^output')
for file in "$ACCEL_CACHE"/*.package; do
	truncate -s -64 "$file"
done
says 'was damaged (it is cut off); compiled again' "$accel" run "$model"
[ "$("$accel" run "$model" | grep '^output')" = "$before" ] || bad "another answer behind the repair"
for file in "$ACCEL_CACHE"/*.package; do
	truncate -s -64 "$file"
done
[ -z "$("$accel" run "$model" --quiet 2>&1)" ] || bad "--quiet is not"

says '0 packages, 0 of at most 2147483648 bytes' "$accel" cache --clear
[ -z "$(ls "$ACCEL_CACHE")" ] || bad "cache --clear"
ACCEL_CACHE_SIZE=8M says '0 of at most 8388608 bytes' "$accel" cache
if ACCEL_CACHE=off "$accel" cache >"$folder/out" 2>&1; then bad "a list of no cache"; fi
grep -q 'there is no cache' "$folder/out" || bad "no cache: $(cat "$folder/out")"
if ACCEL_CACHE_SIZE=x "$accel" run "$model" >"$folder/out" 2>&1; then bad "a size that is none"; fi
grep -q "ACCEL_CACHE_SIZE: 'x' is no size" "$folder/out" || bad "size: $(cat "$folder/out")"
