#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Zero system calls on the submission path: strace of the benchmark's own thread, between its two marks.
#	submit_syscalls.sh SUBMIT-PROGRAM [DEVICE]
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
command -v strace >/dev/null || { echo "strace is missing"; exit 1; }
# Without -f: the thread that submits, and no other. The device polls long enough not to sleep when this thread loses its processor:
# a doorbell to a sleeping one is a futex call.
strace -o "$log" "$1" 200 64 "${2:-sim:spin=1000000}" || { tail -3 "$log"; exit 1; }
grep -q '"begin' "$log" && grep -q '"end' "$log" || { echo "no marks in the trace"; exit 1; }
calls=$(sed -n '/"begin/,/"end/p' "$log" | grep -v '"begin\|"end' | grep -cv '^---')
echo "system calls in 200 batches of 64 packets: $calls"
[ "$calls" = 0 ]
