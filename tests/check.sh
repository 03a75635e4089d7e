#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make check: build plain, with ASan+UBSan, with TSan and with clang; run every suite; then the device in QEMU, and the driver in
# guests of two kernels; count.
# Ends with one line: N passed, N failed, N skipped. A skip says why. Exit status 0 only when nothing failed.
#
# Each meson test is counted once for each build it runs in. Tests report a skip by exit status 77, after printing the reason.
set -u
build=${1:-build}
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
werror=$([ -n "${CI:-}" ] && echo true || echo false)
passed=0 failed=0 skipped=0
# As in tests/meson.build: the user's cache is no part of any test.
ACCEL_CACHE=off
export ACCEL_CACHE

# configure DIR OPTION…: set up a build directory once; meson re-reads changed build files by itself.
configure() {
	dir=$1
	shift
	if [ -f "$dir/build.ninja" ]; then
		# One that an older meson has made is made anew.
		meson introspect "$dir" --targets >/dev/null 2>&1 || meson setup --wipe "$dir" >/dev/null
		return
	fi
	meson setup "$dir" -Dwerror="$werror" "$@" >"$dir.log" 2>&1 || { cat "$dir.log"; rm -f "$dir.log"; return 1; }
	rm -f "$dir.log"
}

# count DIR: add up the results of the meson run in DIR and print what was skipped or failed, with the reason.
count() {
	log=$1/meson-logs/testlog.json
	eval "$(python3 - "$log" <<'PY'
import json, sys
n = {"OK": 0, "FAIL": 0, "SKIP": 0}
for line in open(sys.argv[1]):
    t = json.loads(line)
    r = t["result"]
    k = "OK" if r in ("OK", "EXPECTEDFAIL") else "SKIP" if r == "SKIP" else "FAIL"
    n[k] += 1
    if k != "OK":
        text = (t.get("stdout") or "") + (t.get("stderr") or "")
        tail = text.strip().splitlines()
        tail = tail[-1:] if k == "SKIP" else tail[-40:]
        print("%s %s: %s" % ({"FAIL": "FAILED", "SKIP": "skipped"}[k], t["name"], "\n    ".join(tail)), file=sys.stderr)
print("p=%d f=%d s=%d" % (n["OK"], n["FAIL"], n["SKIP"]))
PY
)"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# suite NAME DIR MESON-TEST-ARGUMENT…: build DIR and run its tests.
suite() {
	name=$1 dir=$2
	shift 2
	echo "== $name"
	if ! ninja -C "$dir" >"$dir/build.log" 2>&1; then
		tail -n 60 "$dir/build.log"
		echo "FAILED $name: does not build"
		failed=$((failed + 1))
		return
	fi
	rm -f "$dir/meson-logs/testlog.json"
	meson test -C "$dir" --no-rebuild --print-errorlogs "$@" 2>&1 | grep -E '^ *[0-9]+/[0-9]+ ' || true
	if [ ! -f "$dir/meson-logs/testlog.json" ]; then
		echo "FAILED $name: no test ran"
		failed=$((failed + 1))
		return
	fi
	count "$dir"
}

# script NAME COMMAND…: one check that is a program; 77 is a skip.
script() {
	name=$1
	shift
	echo "== $name"
	"$@"
	case $? in
	0) passed=$((passed + 1)) ;;
	77) skipped=$((skipped + 1)) ;;
	*) echo "FAILED $name"; failed=$((failed + 1)) ;;
	esac
}

run_build() {
	name=$1 dir=$2
	shift 2
	if configure "$dir" "$@"; then
		suite "$name" "$dir" $suite_arguments
	else
		echo "FAILED $name: does not configure"
		failed=$((failed + 1))
	fi
}

# First, because QEMU needs a newer meson than some releases have, and a build folder belongs to the meson that made it.
cache=${AXL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/axl}
sh tests/vm/sources.sh "$cache" >/dev/null || echo "the test VM's sources are missing" >&2

suite_arguments="--no-suite qemu"
run_build "gcc" "$build"
script "who includes whom" sh tests/includes.sh
script "licence lines" sh tests/spdx.sh
script "layout of the driver's calls" sh tests/uapi.sh
script "digits on the device" sh tests/models/digits/run.sh "$build"
script "race check of the digits network" sh tests/models/race_check.sh "$build" tests/models/digits/digits.onnx
script "installed library" sh tests/install/install.sh "$build"
script "Debian packages" sh tests/install/package.sh
script "ONNX backend suite on the device" sh tests/conformance/device_suite.sh "$build"
suite_arguments="--suite unit --suite fuzz -t 4"
CC=clang run_build "clang, ASan+UBSan, fuzzers" "$build-asan" -Db_sanitize=address,undefined -Db_lundef=false -Dfuzzers=true -Dbuildtype=debugoptimized
suite_arguments="--suite threads -t 8"
run_build "TSan" "$build-tsan" -Db_sanitize=thread -Dbuildtype=debugoptimized

# The device in QEMU, and the driver on real kernels: QEMU and the checked kernel are built once and kept (AXL_CACHE).
echo "== QEMU, kernels, driver"
if assignments=$(sh tests/vm/environment.sh "$build" debug) && assignments=$(sh tests/vm/environment.sh "$build" stock); then
	eval "$assignments"
	AXL_QEMU=$QEMU
	export AXL_QEMU
	suite "the PCI function" "$build" --suite qemu
	script "the PCI function at random, under sanitizers" sh tests/qemu/fuzz.sh "$build" 30
	script "a guest's record and replay" sh tests/qemu/replay.sh "$build"
	unset QEMU KERNEL MODULES AXL_KO
	sh tests/vm/check.sh "$build" >"$build/vm.log" 2>&1
	grep -E '^(ok|FAILED|    \| |figure|[a-z@]+: [0-9]+ seconds)' "$build/vm.log"
	result=$(tail -1 "$build/vm.log")
	case $result in
	"vm: "*)
		passed=$((passed + $(echo "$result" | sed 's/vm: \([0-9]*\) passed.*/\1/')))
		broken=$(echo "$result" | sed 's/.*, \([0-9]*\) failed/\1/')
		failed=$((failed + broken))
		[ "$broken" = 0 ] || tail -150 "$build/vm.log"
		;;
	*)
		cat "$build/vm.log"
		failed=$((failed + 1))
		;;
	esac
else
	echo "FAILED the test VM can not be made"
	failed=$((failed + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
