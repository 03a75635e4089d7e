#!/bin/sh
# SPDX-License-Identifier: MIT
#
# How fast the device model is beside the stack's own CPU backend: one network, interleaved rounds in one run, the best of each.
#	model_speed.sh BUILD MODEL [ROUNDS]
set -eu
build=$1 model=$2 rounds=${3:-5}
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# Milliseconds of the best of a few runs.
best() { # ms: min X,
	"$build/accel" bench "$model" --repeat 3 "$@" 2>/dev/null | sed -n 's/.*ms: min \([0-9.]*\),.*/\1/p'
}

for _ in $(seq "$rounds"); do
	echo "cpu-fp32 $(best --device cpu)"
	echo "sim-int8 $(best --device sim: --precision int8)"
	echo "sim-int8-one-thread $(best --device sim:threads=1 --precision int8)"
	echo "sim-fp32 $(best --device sim: --precision fp32)"
done >"$results"
macs=$("$build/accel" run "$model" --device sim: --precision int8 2>/dev/null | awk '$2 == "NPU" { sum += $6 } END { print sum }')
awk -v macs="$macs" '
	NF < 2 { print "no time in the output of accel bench"; exit 1 }
	!($1 in min) || $2 < min[$1] { min[$1] = $2 }
	END {
		for (name in min)
			printf "%-20s %9.2f ms %6.2f x cpu-fp32 %8.2f GMAC/s\n", name, min[name], min[name] / min["cpu-fp32"], macs / min[name] / 1e6
	}' "$results" | sort
