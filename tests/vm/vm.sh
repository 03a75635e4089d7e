#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run a command in a guest that has the device and the driver, and come back with its output and exit status.
#	vm.sh BUILD stock|debug COMMAND…	the command runs in the guest's shell; `-` is a shell at this terminal
#
# In the guest: accel, the tests of the build and guest/*.sh on the PATH, tests/models/digits at /tests/digits. Its second serial
# port is QEMU's monitor (`qmp`), so that a test in the guest can do to the machine what it needs.
# From the environment: VM_MACHINE (a file of machines/, which sets some of the following), DEVICE (options of the device), MACHINE
# (more of QEMU's command line), APPEND (of the kernel's), MEMORY,
# VM_FILES (files that are put into /data), VM_TIMEOUT (seconds), ACCEL=kvm (never chosen by itself).
# Exit status 125: the guest did not come to the end, or its kernel reported something.
# Four-level page tables: an interrupt in the wrong moment of a boot with five makes KASAN report the kernel's own identify_cpu().
set -eu
build=$1 kind=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
[ -z "${VM_MACHINE:-}" ] || . "$here/machines/$VM_MACHINE"
if [ -z "${AXL_KO:-}" ]; then
	assignments=$(sh "$here/environment.sh" "$build" "$kind")
	eval "$assignments"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/modules" "$root/data" "$root/tests"
cp /bin/busybox "$root/bin/"

# A program and the libraries it names.
put() {
	cp "$1" "$root/bin/"
	ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[ \t]*\(\/lib[^ ]*\).*/\1/p' | while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		[ -f "$root$library" ] || cp -L "$library" "$root$library"
	done
}
put "$build/accel"
for program in "$build"/tests/bench/submit "$build"/tests/unit/accel/test_* "$build"/tests/guest/*; do
	[ -f "$program" ] && [ -x "$program" ] && put "$program"
done
! command -v strace >/dev/null || put "$(command -v strace)"
cp "$here"/guest/* "$top/tests/bench/submit_syscalls.sh" "$root/bin/"
cp -r "$top/tests/models/digits" "$root/tests/"
for file in ${VM_FILES:-}; do cp -rL "$file" "$root/data/"; done

# The module, and those of the distribution's kernel that it needs, in the order in which they load.
cp "$AXL_KO" "$root/modules/axl.ko"
[ ! -f "${AXL_KO%/*}/axl_test.ko" ] || cp "${AXL_KO%/*}/axl_test.ko" "$root/modules/"
[ ! -f "${AXL_KO%/*}/labels" ] || cp "${AXL_KO%/*}/labels" "$here/unreached" "$root/modules/"
: >"$root/modules/order"
add_module() {
	name=$(echo "$1" | tr - _)
	grep -qx "$name" "$root/modules/order" && return
	path=$(grep -E "(^|/)$(echo "$name" | sed 's/_/[-_]/g')\.ko[^:]*:" "$MODULES/modules.dep" || true)
	[ -n "$path" ] || return 0 # built in
	for needed in ${path#*:}; do
		needed=${needed##*/}
		add_module "${needed%%.ko*}"
	done
	name=$(echo "$1" | tr - _)
	path=$(grep -E "(^|/)$(echo "$name" | sed 's/_/[-_]/g')\.ko[^:]*:" "$MODULES/modules.dep")
	path=$MODULES/${path%%:*}
	case $path in
	*.xz) xz -dc "$path" ;;
	*.zst) zstd -dcq "$path" ;;
	*) cat "$path" ;;
	esac >"$root/modules/$name.ko"
	grep -qx "$name" "$root/modules/order" || echo "$name" >>"$root/modules/order"
}
if [ -n "$MODULES" ]; then
	for module in $(modinfo -F depends "$AXL_KO" | tr , ' '); do add_module "$module"; done
fi
echo axl >>"$root/modules/order"

printf '%s\n' "$*" >"$root/command"
cp "$here/init" "$root/init"
chmod +x "$root/init" "$root"/bin/*
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"

serial="-serial file:$work/log"
[ "$*" != - ] || serial="-serial stdio"
# shellcheck disable=SC2086
timeout "${VM_TIMEOUT:-900}" "$QEMU" -M q35 -accel "${ACCEL:-tcg}" -cpu max,la57=off -smp 2 -m "${MEMORY:-3G}" -L /usr/share/seabios -L /usr/share/qemu \
	-nodefaults -display none -no-reboot $serial \
	-chardev "socket,id=port,path=$work/qmp,server=on,wait=off" -serial chardev:port \
	-chardev "socket,id=monitor,path=$work/qmp" -mon chardev=monitor,mode=control \
	-kernel "$KERNEL" -initrd "$work/initrd" -append "console=ttyS0 panic=-1 oops=panic loglevel=5 ${APPEND:-}" \
	-device pcie-root-port,id=port1,slot=1,chassis=1 -device "axl,id=npu,bus=port1${DEVICE:+,$DEVICE}" ${MACHINE:-} \
	>"$work/qemu.log" 2>&1 </dev/stdin && ended=0 || ended=$?
[ "$*" != - ] || { [ "$ended" = 0 ] || cat "$work/qemu.log" >&2; exit "$ended"; }
cat "$work/qemu.log" >&2
tr -d '\r' <"$work/log" >"$work/console"
status=$(sed -n 's/^=== exit \([0-9]*\)$/\1/p' "$work/console")
sed -n '/^=== guest$/,/^=== exit/p' "$work/console" | sed '1d;$d'
if [ "$ended" = 124 ]; then
	echo "the guest was stopped after ${VM_TIMEOUT:-900} seconds" >&2
	status=
fi
if [ -z "$status" ] || grep -qE "$(cat "$here/reports")" "$work/console"; then
	echo "the guest did not end well:" >&2
	tail -80 "$work/console" >&2
	exit 125
fi
exit "$status"
