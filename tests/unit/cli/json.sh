#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every command writes JSON that a parser reads, to a file and to the standard output, where nothing else is then; what can not be
# written is said.
#	json.sh ACCEL MODEL DATA-SET SAMPLES
set -eu
accel=$1 model=$2 data=$3 samples=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Of a command: the members that have to be there. The command's arguments follow.
check() {
	members=$1
	shift
	"$accel" "$@" --json "$folder/file" >"$folder/text" || { echo "$*: ended with $?"; exit 1; }
	"$accel" "$@" --json - >"$folder/standard"
	for file in file standard; do
		python3 -c 'import json, sys; found = json.load(open(sys.argv[1])); sys.exit(str([m for m in sys.argv[2:] if not found.get(m)])) if not all(found.get(m) for m in sys.argv[2:]) else 0' \
			"$folder/$file" $members || { echo "$*: $file"; exit 1; }
	done
	code=0
	"$accel" "$@" --json "$folder/none/file" >/dev/null 2>"$folder/err" || code=$?
	[ $code = 2 ] || { echo "$*: a file that can not be made ended with $code"; exit 1; }
	grep -q 'none/file' "$folder/err" || { echo "$*: does not say what can not be written"; exit 1; }
}

check 'device_cycles nodes regions' run "$model"
check 'outputs' run "$model" --data-set "$data"
check 'package_bytes regions nodes macs' compile "$model" --explain
check 'layers samples' quantize "$model" --calibration "$samples"
check 'model' check "$model"
check 'regions' disasm "$model"
check 'inputs outputs nodes' graph "$model"
check 'devices targets' info
check 'operators' info --operators
check 'ns median_ns device_cycles' bench "$model" --repeat 2
check 'outputs layers' compare cpu sim: "$model"
export ACCEL_CACHE="$folder/cache"
"$accel" run "$model" --quiet
check 'folder packages' cache

# The instructions are those of the text.
"$accel" disasm "$model" >"$folder/text"
"$accel" disasm "$model" --json "$folder/file"
[ "$(grep -c '"text": ' "$folder/file")" = "$(grep -Ec '^ +[0-9a-f]+  ' "$folder/text")" ]
