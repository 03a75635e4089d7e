#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every exported model on the CPU and on the device in this process against the exporter's own outputs, and an iris
# classifier as a person does: flowers in, class names out.
#	check.sh ACCEL
set -eu

accel=$1
here=$(cd "$(dirname "$0")" && pwd)
failed=0

for folder in "$here"/*/; do
	name=$(basename "$folder")
	for device in cpu sim:; do
		if text=$("$accel" run "$folder/model.onnx" --device "$device" --data-set "$folder/test_data_set_0" \
			--rtol 1e-3 --atol 1e-5 2>&1); then
			echo "$name on $device: as expected"
		else
			echo "$name on $device: FAILED"
			echo "$text"
			failed=1
		fi
	done
done

for name in iris_linear iris_forest iris_svc; do
	text=$("$accel" run "$here/$name/model.onnx" --device cpu --input flowers="$here/iris.npy" 2>&1) || failed=1
	for class in setosa versicolor virginica; do
		case $text in
		*"$class"*) ;;
		*)
			echo "$name: the output does not name $class:"
			echo "$text"
			failed=1
			;;
		esac
	done
done
exit $failed
