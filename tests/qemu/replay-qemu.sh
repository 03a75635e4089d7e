#!/bin/sh
# SPDX-License-Identifier: MIT
#
# In QEMU's place for tests/vm/vm.sh: starts the machine that vm.sh describes several times, so that all starts have the same initrd.
#	AXL_QEMU=… REPLAY_OUT=FOLDER replay-qemu.sh QEMU'S-ARGUMENTS…
# Into the folder: of every run its console and the device's trace; "seconds" says how long each took.
set -eu
console=
count=$#
# The monitor's socket goes: who is connected when is no part of the machine. The console gets a file for each run.
while [ "$count" -gt 0 ]; do
	argument=$1
	shift
	count=$((count - 1))
	case $argument in
	-chardev | -mon)
		shift
		count=$((count - 1))
		continue
		;;
	-smp) # record and replay know one processor
		shift
		count=$((count - 1))
		set -- "$@" -smp 1
		continue
		;;
	-serial)
		case $1 in file:*) console=${1#file:} ;; esac
		shift
		count=$((count - 1))
		continue
		;;
	esac
	set -- "$@" "$argument"
done

run() {
	name=$1 icount=$2
	shift 2
	begin=$(date +%s)
	"$AXL_QEMU" "$@" -serial "file:$REPLAY_OUT/$name.console" -icount "$icount" -seed 1 -rtc base=2026-01-01,clock=vm \
		-trace 'axl_*' -D "$REPLAY_OUT/$name.log"
	echo "$name $(($(date +%s) - begin))" >>"$REPLAY_OUT/seconds"
}
shift=${REPLAY_SHIFT:-3}
for name in ${REPLAY_RUNS:-first second record replay}; do
	case $name in
	record | replay) run "$name" "shift=$shift,rr=$name,rrfile=$REPLAY_OUT/events" "$@" ;;
	*) run "$name" "shift=$shift,sleep=off" "$@" ;;
	esac
	cp "$REPLAY_OUT/$name.console" "$console"
done
