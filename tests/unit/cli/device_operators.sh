#!/bin/sh
# SPDX-License-Identifier: MIT
#
# At least 110 operators of the standard run on the device, by the list that accel prints; here they are. That they give the right
# answers there is tests/conformance/device_suite.sh.
#	device_operators.sh ACCEL
set -eu
list=$("$1" info --operators)
on_device=$(echo "$list" | awk '$1 == "ai.onnx" && $3 == "device" { print $2 }')
count=$(echo "$on_device" | grep -c .)
echo "$count operators of ai.onnx on the device:" $on_device
echo "and of other domains:" $(echo "$list" | awk '$1 != "ai.onnx" && $3 == "device" { print $1 "." $2 }')
[ "$count" -ge 110 ]
