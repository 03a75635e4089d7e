#!/bin/sh
# SPDX-License-Identifier: MIT
#
# accel top --once on a machine built in a folder: two devices of the driver, one of another, three files of two processes.
#	top.sh ACCEL
set -eux # what it has done is shown when it fails
accel=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

device() {
	mkdir -p "$root/sys/devices/$2" "$root/sys/class/accel/$1" "$root/sys/bus/pci/drivers/$3"
	ln -s "../../bus/pci/drivers/$3" "$root/sys/devices/$2/driver"
	ln -s "../../../devices/$2" "$root/sys/class/accel/$1/device"
}
file() {
	mkdir -p "$root/proc/$1/fd" "$root/proc/$1/fdinfo"
	echo "$4" >"$root/proc/$1/comm"
	ln -s "$3" "$root/proc/$1/fd/$2"
	cat >"$root/proc/$1/fdinfo/$2"
}
client() {
	printf 'pos:\t0\ndrm-driver:\taxl\ndrm-client-id:\t%s\ndrm-pdev:\t%s\ndrm-cycles-npu:\t%s\ndrm-total-cycles-npu:\t1000\n' "$@"
	printf 'drm-engine-npu:\t17 ns\ndrm-total-system:\t8 KiB\ndrm-resident-system:\t4 KiB\ndrm-total-local:\t2 MiB\n'
}

# Without a device of the driver.
code=0
"$accel" top --once --root "$root" 2>"$root/err" || code=$?
[ $code = 4 ]
grep -q 'no device of the driver' "$root/err"
device accel1 0000:09:00.0 other
code=0
"$accel" top --once --root "$root" 2>/dev/null || code=$?
[ $code = 4 ]

device accel10 0000:02:00.0 axl
device accel2 0000:01:00.0 axl
mkdir -p "$root/sys/kernel/debug/accel/2"
echo 'context 4 queue 1: state 2 error 6 retired 9 busy 250 generation 3' >"$root/sys/kernel/debug/accel/2/axl_queues"
mkdir -p "$root/sys/kernel/debug/accel/0000:02:00.0" # newer kernels
echo 'context 1 queue 0 (kernel): state 1 error 0 retired 7 busy 50 generation 0' >"$root/sys/kernel/debug/accel/0000:02:00.0/axl_queues"
client 5 0000:01:00.0 250 | file 100 3 /dev/accel/accel2 first
client 5 0000:01:00.0 250 | file 100 4 /dev/accel/accel2 first # the same file again
client 6 0000:02:00.0 500 | file 200 3 /dev/accel/accel10 second
client 7 0000:02:00.0 x | file 200 4 /dev/accel/accel10 second # nothing this version knows
client 8 0000:02:00.0 1 | file 200 5 /dev/null second

"$accel" top --once --root "$root" >"$root/out"
grep -Eq '^accel2 +0000:01:00.0$' "$root/out"
grep -Eq '^  4 +1 +faulted +6 +9 +250 +3$' "$root/out"
grep -Eq '^  1 +0 +\(k\) +running +0 +7 +50 +0$' "$root/out"
# What there is not is said, with the reason.
[ "$(grep -c '^  busy - (not asked for with --root)$' "$root/out")" = 2 ]
[ "$(grep -c '^  pipes - (not asked for with --root)$' "$root/out")" = 2 ]
[ "$(grep -c '^  100 ' "$root/out")" = 1 ]
grep -Eq '^  100 +first +25.0 +250 +0.0 +2.0$' "$root/out"
grep -Eq '^  200 +second +50.0 +500 ' "$root/out"
grep -q '^1 files of the driver' "$root/out"
if grep -q accel1$ "$root/out"; then
	echo "what should not be there"
	exit 1
fi
# 2 is before 10.
[ "$(grep -o '^accel[0-9]*' "$root/out" | tr '\n' ' ')" = 'accel2 accel10 ' ]

"$accel" top --json - --root "$root" >"$root/json"
python3 - "$root/json" <<'PYTHON'
import json, sys
top = json.load(open(sys.argv[1]))
a, b = top["devices"]
assert (a["name"], a["pci"], b["name"]) == ("accel2", "0000:01:00.0", "accel10"), top
assert a["queues"] == [{"context": 4, "queue": 1, "kernel": False, "state": "faulted", "error": 6, "retired": 9, "busy_cycles": 250,
                        "generation": 3}] and a["queues_seen"] and b["queues"][0]["kernel"], top
assert a["no_counters"] == b["no_pipes"] == "not asked for with --root" and "counters" not in a and "pipe_cycles" not in b, top
assert a["clients"] == [{"pid": 100, "command": "first", "client": 5, "cycles": 250, "device_cycles": 1000, "engine_ns": 17,
                         "system_bytes": 8192, "resident_bytes": 4096, "local_bytes": 2 << 20}], top
assert [c["pid"] for c in b["clients"]] == [200] and top["unreadable_files"] == 1, top
PYTHON

# On a terminal of six lines: two pictures one over the other, neither longer than it, nothing left of what was there before.
python3 - "$accel" "$root" <<'PYTHON'
import fcntl, os, pty, signal, struct, subprocess, sys, termios
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 6, 80, 0, 0))
process = subprocess.Popen([sys.argv[1], "top", "--root", sys.argv[2]], stdout=slave, stderr=slave)
os.close(slave)
text = b""
while text.count(b"\033[J") < 2:
    text += os.read(master, 4096)
process.send_signal(signal.SIGINT)
process.wait()
assert text.startswith(b"\033[2J\033[H"), text
for picture in text.split(b"\033[H")[1:3]:
    lines = picture.split(b"\033[J")[0].split(b"\r\n")
    assert len(lines) == 6 and not lines[5] and all(line.endswith(b"\033[K") for line in lines[:5]), lines
    assert lines[0].startswith(b"accel2  0000:01:00.0"), lines
PYTHON

# Live only on a terminal.
code=0
"$accel" top --root "$root" >"$root/out" 2>"$root/err" || code=$?
[ $code = 2 ]
[ ! -s "$root/out" ]
grep -q -- '--once' "$root/err"
