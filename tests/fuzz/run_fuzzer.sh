#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run_fuzzer.sh FUZZER NAME [SECONDS]: seeds made from the digits network, then a short run (or SECONDS).
set -eu
fuzzer=$1
name=$2
seconds=${3:-20}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/seeds" "$work/new"
case $name in
import)
	cp "$here/../models/digits/digits.onnx" "$work/seeds/digits"
	;;
*)
	for precision in fp32 int8; do
		"$AXL_ACCEL" compile "$here/../models/digits/digits.onnx" --precision $precision --output "$work/seeds/$precision" --quiet
	done
	;;
esac
"$fuzzer" -max_total_time="$seconds" -max_len=200000 -rss_limit_mb=4096 -timeout=60 -print_final_stats=1 "$work/new" "$work/seeds"
