#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The main job on real input: classify the held-back digits on the device in fp32, fp16 and int8 and on the CPU, show where the
# time goes, and write the graph and a timeline. Fails when a prediction is lost in fp32 or fp16, or more than 1 % in int8.
set -eu
build=${1:-build}
here=$(cd "$(dirname "$0")" && pwd)
out=$build/digits
mkdir -p "$out"
accel=$build/accel
model=$here/digits.onnx

# predictions FILE: the classes in a --json file.
predictions() {
	sed -n '/"predictions"/,/\]/p' "$1" | tr -dc '0-9\n'
}

right() {
	sed -n 's/.*"right": \([0-9]*\).*/\1/p' "$1"
}

classify() {
	name=$1
	shift
	printf '%-12s ' "$name"
	"$accel" run "$model" "$@" --samples "$here/test_images.npy" --labels "$here/test_labels.npy" --json "$out/$name.json" >"$out/$name.txt"
	grep '^accuracy' "$out/$name.txt"
}

echo "Handwritten digits: $(basename "$model"), test samples that training never saw"
classify cpu --device cpu
classify npu-fp32 --device sim: --precision fp32
classify npu-fp16 --device sim: --precision fp16
classify npu-int8 --device sim: --precision int8
echo
echo "One sample on the device in fp32:"
"$accel" run "$model" --data-set "$here/test_data_set_0" --profile "$out/timeline.json" --explain
"$accel" graph "$model" --output "$out/graph.svg"
echo "graph:    $out/graph.svg"
echo "timeline: $out/timeline.json (open in Perfetto or chrome://tracing)"

predictions "$out/cpu.json" >"$out/cpu.classes"
predictions "$out/npu-fp32.json" >"$out/fp32.classes"
cmp -s "$out/cpu.classes" "$out/fp32.classes" || { echo "fp32: predictions differ from the CPU's" >&2; exit 1; }
cpu=$(right "$out/cpu.json")
[ "$(right "$out/npu-fp16.json")" -ge "$cpu" ] || { echo "fp16 lost predictions" >&2; exit 1; }
total=$(wc -l <"$out/cpu.classes")
[ $(((cpu - $(right "$out/npu-int8.json")) * 100)) -le "$total" ] || { echo "int8 lost more than 1 %" >&2; exit 1; }
