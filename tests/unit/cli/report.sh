#!/bin/sh
# SPDX-License-Identifier: MIT
#
# 'accel compile --report': the figures of the JSON agree with each other, the page is whole and asks nothing of a network;
# --explain says something of every region.
#	report.sh ACCEL MODEL
set -eu
accel=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for target in axl-edge axl-pro; do
	"$accel" compile "$model" --target $target --precision int8 --report "$folder/report.json" --quiet
	tr -d '\t",' <"$folder/report.json" | awk -F': ' -v target=$target '
		function near(a, b) { return a - b < 0.001 * b && b - a < 0.001 * b }
		$1 == "cycles_from" { from = $2 }
		$1 == "nodes" && !regions { nodes = 1 }
		$1 == "regions" { regions = 1; nodes = 0 }
		$1 == "arena_bytes" { arena = $2 }
		$1 == "arena_live_bytes" { if (!(($2 > 0 || !arena) && $2 <= arena)) { print target ": " $2 " bytes live, " arena " placed"; bad = 1 } live++ }
		$1 == "ledger" { ledger = 1 }
		$1 == "gap" { gap = $2 }
		$1 == "roofline" { inside = 1 }
		$1 == "cycles" && !total { total = $2; next }
		$1 == "cycles" && inside && !r { r = $2; next }
		$1 == "cycles" && nodes { sum += $2; count++ }
		$1 == "cycles" && ledger && !nodes && !regions { causes += $2 }
		$1 == "share" && ledger && !nodes && !regions { shares += $2 }
		$1 == "taken" { if ($2 == "true") taken++; else others++ }
		$1 == "why_not" { why++ }
		$1 == "chain_cycles" { if (!($2 > 0 && $2 <= total)) { print target ": a chain of " $2 " cycles"; bad = 1 } chains++ }
		$1 == "in_order_cycles" && !(($2 >= r) && ($2 <= total)) { print target ": in order " $2 ", R " r ", cycles " total; bad = 1 }
		$1 == "slices" { slices = $2 }
		$1 == "mac_utilisation" && $2 > 1 { print target ": a node above the peak: " $0; bad = 1 }
		END {
			if (from !~ /run on the in-process device/) { print target ": not from a run: " from; bad = 1 }
			if (count < 5 || sum != total) { print target ": " count " nodes have " sum " cycles of " total; bad = 1 }
			if (!(r > 0 && r < total)) { print target ": R is " r " of " total; bad = 1 }
			if (!near(gap, total - r) || !near(causes, gap)) { print target ": gap " gap ", causes " causes; bad = 1 }
			if (taken < 5 || !others || why != others) { print target ": " taken " searches, " others " runners-up, " why " reasons"; bad = 1 }
			if (!chains && target == "axl-edge") { print target ": no chain"; bad = 1 }
			if (slices != 64) { print target ": no map of the scratchpad"; bad = 1 }
			if (!live) { print target ": no region says what is live"; bad = 1 }
			if (!near(shares, 1)) { print target ": the shares add up to " shares; bad = 1 }
			exit bad
		}'
done

"$accel" compile "$model" --precision fp16 --report "$folder/report.html" --quiet
for part in '<!DOCTYPE html>' '<h2>Roofline</h2>' '<h2>Ledger' '<h2>Pipes over time</h2>' '<h2>Scratchpad of tile 0' '<h2>Nodes</h2>' '<h2>Chains</h2>' '<h2>Tilings</h2>' '<b>taken</b> of ' \
	'</body></html>'; do
	grep -qF "$part" "$folder/report.html" || { echo "the page has no $part"; exit 1; }
done
if grep -Eiq '(src|href)=|url\(|@import|<script' "$folder/report.html"; then
	echo "the page asks for more than itself"
	exit 1
fi

# What can not be written, or is not for a device, is said.
if "$accel" compile "$model" --report "$folder/none/report.json" --quiet 2>"$folder/error"; then
	echo "a report was written to a folder that is not there"
	exit 1
fi
grep -q 'none/report.json' "$folder/error"
"$accel" compile "$model" --target cpu --report "$folder/report.json" --quiet
grep -q '"not_run": "the package has no code for a device"' "$folder/report.json"

# --explain names every region.
"$accel" compile "$model" --precision int8 --explain >"$folder/explain"
grep -Eq '^region 0: NPU: the device has code for all of its [0-9]+ nodes; [1-9][0-9]* cycles' "$folder/explain"
grep -Eq '^expected: [1-9][0-9.]* us; all on the CPU [1-9][0-9.]* us, all on the device that it can do [1-9][0-9.]* us$' "$folder/explain"
grep -Eq '^  *[0-9]+ nodes: [1-9][0-9.]* us here \([0-9.]+ computing, [1-9][0-9.]* the call, [0-9.]+ copies\), [1-9][0-9.]* us on the CPU$' "$folder/explain"
"$accel" compile "$model" --target cpu --explain >"$folder/explain"
grep -q '^region 0: CPU: ' "$folder/explain"
grep -q '^  *[1-9][0-9]*: the CPU was asked for$' "$folder/explain"

# The drawing has the edges inside a device region: the model's nodes are one graph, in every format.
"$accel" graph "$model" --output "$folder/graph.svg"
"$accel" graph "$model" --output "$folder/graph.dot"
boxes=$(grep -c '^<g><title>' "$folder/graph.svg")
edges=$(grep -c '^<path ' "$folder/graph.svg")
[ "$boxes" -ge 5 ] && [ "$edges" -ge $((boxes - 1)) ] || { echo "$edges edges for $boxes nodes"; exit 1; }
[ "$(grep -c -e '->' "$folder/graph.dot")" -eq "$edges" ] || { echo "dot and SVG have different edges"; exit 1; }
