#!/bin/sh
# SPDX-License-Identifier: MIT
#
# device_suite.sh BUILD: the ONNX backend suite compiled and run in sessions, on the CPU and on the device (the partitioner choosing).
# Every case has to be right on both. BUILD/conformance_cpu.txt and BUILD/conformance_sim.txt say where the nodes of each operator ran.
set -eu
build=$1
data=/usr/share/libonnx-testdata/data
here=$(dirname "$0")
[ -d "$data/node" ] || { echo "$data is not there: install libonnx-testdata"; exit 1; }
code=0
for device in cpu sim:; do
	echo "on $device"
	"$build/tests/conformance/node_suite" -d "$device" -t "$build/conformance_${device%:}.txt" -x "$here/known_failures.txt" \
		"$data/node" "$data/simple" "$data/pytorch-operator" "$data/pytorch-converted" || code=1
done
exit $code
