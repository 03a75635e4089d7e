#!/bin/sh
# SPDX-License-Identifier: MIT
#
# device_suite.sh BUILD: the ONNX backend suite through `accel run`, on the device (the partitioner choosing) and on the CPU. A case
# that the CPU passes must pass on the device. Cases that neither does are listed in known_failures.txt by node_suite.
set -eu
accel=$1/accel
data=/usr/share/libonnx-testdata/data
[ -d "$data/node" ] || { echo "$data is not there: install libonnx-testdata"; exit 1; }
passed=0 both=0 failed=0
for case in "$data"/node/* "$data"/simple/* "$data"/pytorch-operator/* "$data"/pytorch-converted/*; do
	for set in "$case"/test_data_set_*; do
		[ -f "$case/model.onnx" ] && [ -d "$set" ] || continue
		if "$accel" run "$case/model.onnx" --device sim: --data-set "$set" --quiet >/dev/null 2>&1; then
			passed=$((passed + 1))
		elif "$accel" run "$case/model.onnx" --device cpu --data-set "$set" --quiet >/dev/null 2>&1; then
			echo "passes on the CPU and not on the device: $accel run $case/model.onnx --data-set $set"
			failed=$((failed + 1))
		else
			both=$((both + 1))
		fi
	done
done
echo "device: $passed cases right, $failed wrong that the CPU has right, $both that neither has yet"
[ "$failed" = 0 ] && [ "$passed" -gt 900 ]
