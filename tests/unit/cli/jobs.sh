#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Several requests at a time, several devices, and devices that fail, from the command line.
#	jobs.sh ACCEL MODEL
set -u
accel=$1
model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bad=0

# What is printed for the arguments, and the exit code.
expect() {
	code=$1 pattern=$2
	shift 2
	"$accel" "$@" >"$folder/out" 2>&1
	got=$?
	if [ $got != "$code" ] || ! grep -q -- "$pattern" "$folder/out"; then
		echo "accel $*: exit code $got instead of $code, or no '$pattern':"
		cat "$folder/out"
		bad=1
	fi
}

expect 0 '3 requests under way: 12 runs in' bench "$model" --repeat 4 --jobs 3
expect 0 'sim:threads=1: .* runs, .* cycles, 0 faults' bench "$model" --repeat 4 --jobs 2 --device sim:threads=1,sim:threads=1
# All runs, those that are not timed too, are somebody's: 5 alone and 2 times 5.
sum=$(sed -n 's/.*sim:threads=1: \([0-9]*\) runs.*/\1/p' "$folder/out" | awk '{ s += $1 } END { print s }')
[ "$sum" = 15 ] || { echo "the devices did $sum runs instead of 15"; bad=1; }
expect 2 'not a valid N' bench "$model" --jobs 0
expect 2 'not a valid N' bench "$model" --jobs 33
expect 4 'device fault' run "$model" --device sim:fault-packet=1
expect 4 'device fault' run "$model" --device sim:fault-packet=1 --on-fault report
expect 4 'device fault' run "$model" --device sim:fault-packet=1 --on-fault retry
expect 0 'output' run "$model" --device sim:fault-packet=2 --repeat 3 --on-fault retry
expect 0 'output' run "$model" --device sim:fault-packet=1 --on-fault cpu
expect 2 'report, retry or cpu' run "$model" --on-fault pray
exit $bad
