#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A guest that classifies digits on a deterministic device, under -icount: twice without a recording, then recorded and replayed.
# Console and the device's trace, with every virtual time in it, must be the same in each pair.
#	replay.sh BUILD
# A line for each pair, "ok" or "FAILED"; exit status 1 if one failed. REPLAY_SHIFT: of -icount (default 3: 8 ns an instruction).
set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${AXL_KO:-}" ]; then
	assignments=$(sh "$here/../vm/environment.sh" "$build" stock) || exit 1
	eval "$assignments"
fi
command='accel run /tests/digits/digits.onnx --precision int8 --seed 7 --device /dev/accel/accel0'
real=$QEMU # its place is taken for vm.sh
if ! AXL_KO=$AXL_KO KERNEL=$KERNEL MODULES=$MODULES AXL_QEMU=$real QEMU=$here/replay-qemu.sh REPLAY_OUT=$work DEVICE=deterministic=on \
	VM_TIMEOUT=${VM_TIMEOUT:-1800} sh "$here/../vm/vm.sh" "$build" stock "$command" >"$work/output" 2>&1; then
	tail -60 "$work/output"
	echo "FAILED replay: the guest"
	exit 1
fi
for log in "$work"/*.log; do
	# Where the process has put its objects.
	sed 's/0x[0-9a-f]\{12\}\>/@/g' "$log" >"${log%.log}.trace"
done
status=0
pair() {
	# A trace of a device that did nothing would be the same as well.
	if ! grep -q 'total: [1-9][0-9]* device cycles' "$work/$1.console"; then
		tail -20 "$work/$1.console"
		echo "FAILED replay: $1 computes nothing"
		status=1
	fi
	for what in trace console; do
		if [ "$(grep -c axl_irq_send "$work/$1.trace")" -ge 5 ] && cmp "$work/$1.$what" "$work/$2.$what"; then
			echo "ok replay: $1 and $2 have the same $what ($(wc -l <"$work/$1.$what") lines)"
		else
			diff "$work/$1.$what" "$work/$2.$what" | head -20
			echo "FAILED replay: $1 and $2 differ in their $what"
			status=1
		fi
	done
}
pair first second
pair record replay
echo "seconds: $(tr '\n' ' ' <"$work/seconds")"
exit $status
