#!/bin/sh
# SPDX-License-Identifier: MIT
# Device, CPU backend and ONNX Runtime on the same models and inputs.
#
#   ORT_LIB=.../libonnxruntime.so.1 tests/models/three_way.sh [options] DIR [NAME...]
#
# DIR holds NAME/model.onnx.  Each model gets random parameters (axl-model-randomize), ONNX Runtime writes inputs and
# outputs (axl-compare-ort), and `accel run` must come within --tolerance times the largest output on every device.
#
#   --build DIR      where the tools are built (default: build beside the top of the tree)
#   --accel FILE     the command (default: BUILD/accel)
#   --seed N         of parameters and inputs (default 1)
#   --range LOW:HIGH of the random inputs (default -2:2)
#   --devices LIST   (default "sim: cpu")
#   --tolerance T    (default 1e-3)
#   --as-is          keep the parameters: for trained models
#   --work DIR       keep the models and data sets there (default: a temporary folder, one model at a time)
#   --timeout S      seconds for one `accel run` (default 600)
#
# Exit: 0 all agree, 1 some do not, 2 bad usage, 77 skipped because ORT_LIB is not set.

root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build
accel=
seed=1
range=-2:2
devices="sim: cpu"
tolerance=1e-3
as_is=
work=
timeout=600

while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2; shift ;;
	--accel) accel=$2; shift ;;
	--seed) seed=$2; shift ;;
	--range) range=$2; shift ;;
	--devices) devices=$2; shift ;;
	--tolerance) tolerance=$2; shift ;;
	--as-is) as_is=1 ;;
	--work) work=$2; shift ;;
	--timeout) timeout=$2; shift ;;
	-*) sed -n '3,22s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
	sed -n '3,22s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
models=$1
shift
: "${accel:=$build/accel}"
if [ -z "$ORT_LIB" ]; then
	echo "three_way.sh: skipped: ORT_LIB is not set (the path of libonnxruntime.so, see tests/models/README.md)"
	exit 77
fi
for tool in "$accel" "$build/tests/models/axl-model-randomize" "$build/tests/models/axl-compare-ort"; do
	if [ ! -x "$tool" ]; then
		echo "three_way.sh: $tool is not built" >&2
		exit 2
	fi
done
if [ -z "$work" ]; then
	work=$(mktemp -d) || exit 2
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	temporary=1
fi
[ $# -gt 0 ] || set -- $(cd "$models" && ls -d -- */ | tr -d /)

# verdict NAME DEVICE MODEL DATA_SET RTOL ATOL: one cell of the table; the log stays in $work/NAME.DEVICE.log until the next run.
verdict()
{
	log=$work/$1.$(echo "$2" | tr -c 'a-z0-9\n' _).log
	start=$(date +%s)
	timeout "$timeout" "$accel" run "$3" --device "$2" --data-set "$4" --rtol "$5" --atol "$6" >"$log" 2>&1
	code=$?
	seconds=$(($(date +%s) - start))
	case $code in
	0) cell="same ${seconds}s"; return 0 ;;
	1) cell="DIFFERS" ;;
	124) cell="TIME-OUT" ;;
	*) cell="FAILED($code)" ;;
	esac
	echo "  $1 on $2: $cell: $(tail -n 1 "$log")" >>"$work/failures"
	return 1
}

bad=0
: >"$work/failures"
printf '%-24s %-14s' model 'largest'
for device in $devices; do printf ' %-14s' "$device"; done
printf '\n'
for name in "$@"; do
	source=$models/$name/model.onnx
	model=$work/$name.onnx
	set_dir=$work/$name.data
	printf '%-24s' "$name"
	if [ -n "$as_is" ]; then
		model=$source
	elif ! "$build/tests/models/axl-model-randomize" --seed "$seed" "$source" "$model" >"$work/log" 2>&1; then
		printf ' %s\n' "$(tail -n 1 "$work/log")"
		bad=1
		continue
	fi
	if ! "$build/tests/models/axl-compare-ort" --seed "$seed" --range "$range" --write-data-set "$set_dir" "$model" \
		>"$work/log" 2>&1; then
		printf ' ONNX Runtime: %s\n' "$(tail -n 1 "$work/log")"
		bad=1
		continue
	fi
	# `accel run` takes one tolerance for all outputs.  One output: T times its largest value.  Several: T times the smallest
	# of their largest values (not below float32 noise of the largest of all), and T relative for the others.
	scale=$(sed -n 's/^output.*maxabs //p' "$work/log" | sort -g | awk -v t="$tolerance" '
		NR == 1 { small = $1 }
		{ large = $1 }
		END {
			atol = small * t
			if (NR > 1 && atol < large * 1e-6)
				atol = large * 1e-6
			printf "%.6g %.9g %s", large, atol, (NR > 1 ? t : 0)
		}')
	largest=${scale%% *}
	rtol=${scale##* }
	atol=${scale#* }
	atol=${atol% *}
	printf ' %-14s' "$largest"
	for device in $devices; do
		verdict "$name" "$device" "$model" "$set_dir" "$rtol" "$atol" || bad=1
		printf ' %-14s' "$cell"
	done
	printf '\n'
	[ -z "$temporary" ] || rm -rf "$work/$name".*
done
if [ -s "$work/failures" ]; then
	cat "$work/failures"
fi
exit $bad
