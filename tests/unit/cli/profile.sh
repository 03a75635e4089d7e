#!/bin/sh
# SPDX-License-Identifier: MIT
#
# accel run --profile FILE.html: a page on this run. (The trace: trace.py.)
#	profile.sh ACCEL MODEL
set -eu
accel=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$accel" run "$model" --device sim:target=axl-pro --precision int8 --profile "$folder/run.html" --json "$folder/run.json" >"$folder/out"
grep -qx "report: $folder/run.html" "$folder/out"
cycles=$(sed -n 's/^	"device_cycles": \([0-9]*\),$/\1/p' "$folder/run.json")
for part in '<!DOCTYPE html>' "<b>$cycles cycles</b>, from a run on sim:target=axl-pro." '<h2>Roofline</h2>' '<h2>Ledger' '<h2>Nodes</h2>' \
	'</body></html>'; do
	grep -qF "$part" "$folder/run.html" || { echo "the page has no $part"; exit 1; }
done
grep -qF 'as the device ran it' "$folder/run.html"
# The time axis of both drawings ends with the cycles of the largest region, which here is all of the run.
[ "$(grep -o ">$cycles</text>" "$folder/run.html" | wc -l)" = 2 ]
# The same cycles as the report of the compiled model has, which runs on the same sizes.
"$accel" compile "$model" --target axl-pro --precision int8 --report "$folder/compiled.html" --quiet
grep -qF "<b>$cycles cycles</b>, from a run on the in-process device." "$folder/compiled.html"

"$accel" run "$model" --device cpu --profile "$folder/cpu.html" --quiet
grep -qF 'the package has no code for a device' "$folder/cpu.html"
code=0
"$accel" run "$model" --profile "$folder/none/run.html" --quiet 2>"$folder/err" || code=$?
[ $code = 2 ]
grep -q 'none/run.html' "$folder/err"
