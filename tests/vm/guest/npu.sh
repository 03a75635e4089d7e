#!/bin/sh
# SPDX-License-Identifier: MIT
# What scripts begin with that do something to the machine's device: `. npu.sh`.
# AXL_NODE: the node they use; AXL_NPU: the id that the monitor knows its device by.
node=${AXL_NODE:-/dev/accel/accel0}
npu=/machine/peripheral/${AXL_NPU:-npu}
# A port that is closed loses bytes: it stays open between two words to the monitor.
exec 9<>/dev/ttyS1
fail() {
	echo "$@"
	exit 1
}
# COMMAND ARGUMENTS: of the monitor; its reply is in /tmp/qmp.
monitor() {
	qmp "$@" >/tmp/qmp || fail "$(cat /tmp/qmp)"
}
# A property of the device. Fault rules: sim/qemu/README.md.
property() {
	monitor qom-set "{\"path\":\"$npu\",\"property\":\"$1\",\"value\":$2}"
}
rules() {
	property fault-rules "\"$1\""
}
# How often a rule struck at a site.
injected() {
	monitor qom-get "{\"path\":\"$npu/fault\",\"property\":\"injected-$1\"}"
	sed -n 's/.*"return": \([0-9]*\).*/\1/p' /tmp/qmp
}
link() {
	property link "$1"
}
# Accesses through translations that the driver had taken away, since the machine began; and none since this script did.
violations() {
	monitor qom-get "{\"path\":\"$npu\",\"property\":\"dma-violations\"}"
	sed -n 's/.*"return": \([0-9]*\).*/\1/p' /tmp/qmp
}
no_violations() {
	[ "$(violations)" = "$violations_before" ] || fail "dma-violations: $(violations), $violations_before before"
}
violations_before=$(violations)
# The digits network on the device, its outputs compared.
run() {
	accel run /tests/digits/digits.onnx --device "$node" --data-set /tests/digits/test_data_set_0 --quiet "$@"
}
# The same in the background, as $job: the program itself, not a shell that a signal would take in its place.
begin() {
	accel run /tests/digits/digits.onnx --device "$node" --data-set /tests/digits/test_data_set_0 --quiet "$@" >/tmp/run 2>&1 &
	job=$!
}
# The PCI address behind a node.
address_of() {
	basename "$(readlink -f "/sys/class/accel/${1##*/}/device")"
}
# Is a program on the device at this address so far that it has a queue? On a busy machine that takes its time.
has_queue() {
	grep -q '^queues [1-9]' "/sys/kernel/debug/accel/$1/axl_objects"
}
# CONDITION…: until it holds, at most SECONDS.
await() {
	tries=$(($1 * 10))
	shift
	until "$@"; do
		[ $tries -gt 0 ] || return 1
		usleep 100000
		tries=$((tries - 1))
	done
}
