#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A run of a session in the steady state makes no system call but to wait for its end: strace of the thread that runs, between its marks.
#	run_syscalls.sh RUN_SYSCALLS-PROGRAM MODEL
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
command -v strace >/dev/null || { echo "strace is missing"; exit 1; }
# Without -f: the caller's thread, and no other.
strace -o "$log" "$1" "$2" 100 >/dev/null || { tail -3 "$log"; exit 1; }
grep -q '"begin' "$log" && grep -q '"end' "$log" || { echo "no marks in the trace"; exit 1; }
between=$(sed -n '/"begin/,/"end/p' "$log" | grep -v '"begin\|"end' | grep -v '^---')
# To sleep until the device is done is a futex, with the lock that goes with it: one wait and one wake a run.
waits=$(echo "$between" | grep -c '^futex(')
others=$(echo "$between" | grep -cv '^futex(\|^$')
echo "system calls in 200 runs: $waits of waiting for the device, $others others"
[ "$others" = 0 ] || { echo "$between" | grep -v '^futex(' | sort | uniq -c | sort -rn | head; exit 1; }
