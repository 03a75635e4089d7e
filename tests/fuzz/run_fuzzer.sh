#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run_fuzzer.sh FUZZER NAME [SECONDS [KEEP]]: from the corpus in corpus/NAME.tar.xz, and fresh seeds of the digits network, a short
# run (or SECONDS). KEEP: a folder for what the run adds.
set -eu
fuzzer=$1
name=$2
seconds=${3:-20}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
keep=${4:-$work/new}
mkdir -p "$work/seeds" "$keep"
[ ! -f "$here/corpus/$name.tar.xz" ] || tar -xJf "$here/corpus/$name.tar.xz" -C "$work/seeds"
longest=60000
case $name in
import)
	cp "$here/../models/digits/digits.onnx" "$work/seeds/digits"
	# A model for each rule of the checker.
	"$AXL_WRITE_MODELS" "$work/seeds" >/dev/null
	rm -f "$work/seeds/leads_out.bin"
	longest=4096
	;;
device)
	longest=4096
	;;
dump)
	# Nothing changed in the good one, so that all of it is in reach at once.
	head -c 1536 /dev/zero >"$work/seeds/good"
	longest=4096
	;;
infer)
	# The type, the size of the JSON, the JSON, bytes.
	json='{"id":"i","inputs":[{"name":"a","shape":[2],"datatype":"FP32","data":[1,[2]]}],"outputs":[{"name":"a"}]}'
	printf '\001\377\377%s' "$json" >"$work/seeds/json"
	json='{"parameters":{"binary_data_output":true},"inputs":[{"name":"a","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5}}]}'
	printf "\\010\\$(printf %o ${#json})\\000%s\\001\\000\\000\\000x" "$json" >"$work/seeds/binary"
	longest=4096
	;;
package | engine)
	for precision in fp32 int8; do
		"$AXL_ACCEL" compile "$here/../models/digits/digits.onnx" --precision $precision --output "$work/seeds/$precision" --quiet
	done
	;;
esac
# What UBSan finds ends the run as what ASan finds does.
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:abort_on_error=1:print_stacktrace=1}"
"$fuzzer" -max_total_time="$seconds" -max_len=$longest -rss_limit_mb=4096 -timeout=60 -error_exitcode=1 -print_final_stats=1 "$keep" "$work/seeds"
