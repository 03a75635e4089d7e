#!/bin/sh
# SPDX-License-Identifier: MIT
#
# accel run --profile: a trace that is JSON with both clocks' lanes, or a page on this run.
#	profile.sh ACCEL MODEL
set -eu
accel=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$accel" run "$model" --device sim:target=axl-pro --profile "$folder/trace.json" --quiet
python3 - "$folder/trace.json" <<'PYTHON'
import json, sys
trace = json.load(open(sys.argv[1]))
assert trace["otherData"]["dropped"] == 0
names = {e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"}
assert {"CPU", "NPU"} <= names and any(n.startswith("tile 3 ") for n in names), names
events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
assert any(e["pid"] == 2 for e in events), "nothing on the device"
assert all(e["dur"] >= 0 and e["ts"] >= 0 for e in events)
PYTHON

"$accel" run "$model" --device sim:target=axl-pro --precision int8 --profile "$folder/run.html" --json "$folder/run.json" >"$folder/out"
grep -qx "report: $folder/run.html" "$folder/out"
cycles=$(sed -n 's/^	"device_cycles": \([0-9]*\),$/\1/p' "$folder/run.json")
for part in '<!DOCTYPE html>' "<b>$cycles cycles</b>, from a run on sim:target=axl-pro." '<h2>Roofline</h2>' '<h2>Ledger' '<h2>Nodes</h2>' \
	'</body></html>'; do
	grep -qF "$part" "$folder/run.html" || { echo "the page has no $part"; exit 1; }
done
# The same cycles as the report of the compiled model has, which runs on the same sizes.
"$accel" compile "$model" --target axl-pro --precision int8 --report "$folder/compiled.html" --quiet
grep -qF "<b>$cycles cycles</b>, from a run on the in-process device." "$folder/compiled.html"

"$accel" run "$model" --device cpu --profile "$folder/cpu.html" --quiet
grep -qF 'the package has no code for a device' "$folder/cpu.html"
code=0
"$accel" run "$model" --profile "$folder/none/run.html" --quiet 2>"$folder/err" || code=$?
[ $code = 2 ]
grep -q 'none/run.html' "$folder/err"
