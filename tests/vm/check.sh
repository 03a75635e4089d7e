#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The driver on real kernels: boots a guest with the distribution's kernel, in each of the suite's machines, and one with the checked
# kernel, and runs suite's lines in each. Prints a line for every test; the last one is "vm: N passed, N failed".
#	check.sh BUILD [KERNEL[@MACHINE]…]	KERNEL: stock or debug; MACHINE: a file of machines/
# VM_LOOPS: how often each failure is made (default: 10 times on the distribution's kernel, 5 on the checked one, which is slow, and
# on other machines)
set -u
build=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# What the guest's device has to give: the outputs and cycles of the in-process one.
mkdir "$work/expected"
for precision in fp32 fp16 int8; do
	mkdir "$work/expected/$precision"
	"$build/accel" run "$top/tests/models/digits/digits.onnx" --precision $precision --seed 7 --save "$work/expected/$precision" |
		sed -n 's/^total: \([0-9]*\) device cycles.*/\1/p' >"$work/expected/$precision/cycles"
done

# KERNEL[@MACHINE]: one guest, and the suite's lines for it.
check() {
	name=$1 kernel=${1%@*} machine=
	[ "$kernel" = "$1" ] || machine=${1#*@}
	loops=${VM_LOOPS:-$([ "$1" = stock ] && echo 10 || echo 5)}
	sed -n "s/@LOOPS@/$loops/; /^[^#]/s/^\(both\|$kernel\)${machine:+@$machine}  *//p" "$here/suite" >"$work/suite"
	[ -s "$work/suite" ] || { echo "FAILED $name: the suite has no line for it"; failed=$((failed + 1)); return; }
	cp "$here/reports" "$work/reports"
	begin=$(date +%s)
	VM_MACHINE=$machine VM_TIMEOUT=${VM_TIMEOUT:-3300} VM_FILES="$work/suite $work/reports $work/expected" \
		sh "$here/vm.sh" "$build" "$kernel" suite >"$work/output" 2>"$work/errors"
	status=$?
	cat "$work/output"
	[ "$status" = 0 ] || tail -60 "$work/errors"
	while read -r test _; do
		if grep -qx "=== result $test 0" "$work/output"; then
			echo "ok $name: $test"
			passed=$((passed + 1))
		else
			echo "FAILED $name: $test"
			# Why, where who looks for failures finds it: it was said once, when the guest had come to it.
			sed -n "/^=== begin $test\$/,/^=== end $test /s/^/    | /p" "$work/output" | tail -42
			failed=$((failed + 1))
		fi
	done <"$work/suite"
	if [ "$status" != 0 ]; then
		echo "FAILED $name: the guest's end ($status)"
		failed=$((failed + 1))
	fi
	echo "$name: $(($(date +%s) - begin)) seconds"
}

[ $# -gt 0 ] || set -- stock stock@two stock@iommu debug
for guest; do
	check "$guest"
done
echo "vm: $passed passed, $failed failed"
[ "$failed" = 0 ]
