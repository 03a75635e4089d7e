#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run a command in a guest that has the AXL device and the driver, and come back with its output and exit status.
#	vm.sh BUILD COMMAND…	the command runs in a shell, with `accel` on the PATH and the tree's tests/ at /tests
# From the environment: QEMU, KERNEL (bzImage), MODULES (lib/modules/VERSION), AXL_KO, FIRMWARE (folders for -L, by colons), DEVICE
# (the device's options), ACCEL=kvm (never chosen by itself), VM_FILES (more files for the guest, placed in /data).
set -eu
build=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/modules" "$root/data" "$root/tests"
cp /bin/busybox "$root/bin/"

# programs and the libraries they name
put() {
	cp "$1" "$root/bin/"
	ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[ \t]*\(\/lib[^ ]*\).*/\1/p' | while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
}
for program in accel tests/bench/submit tests/unit/accel/test_accel tests/unit/accel/test_submission; do
	[ ! -x "$build/$program" ] || put "$build/$program"
done
cp -r "$top/tests/models/digits" "$root/tests/"
for file in ${VM_FILES:-}; do cp -r "$file" "$root/data/"; done

# modules, in the order in which they load
for name in drm drm_kms_helper drm_shmem_helper; do
	file=$(find "$MODULES" -name "$name.ko*" | head -1)
	case $file in
	*.xz) xz -dc "$file" >"$root/modules/$name.ko" ;;
	*) cp "$file" "$root/modules/$name.ko" ;;
	esac
done
cp "$AXL_KO" "$root/modules/axl.ko"

printf '%s\n' "$*" >"$root/command"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in drm drm_kms_helper drm_shmem_helper axl; do
	insmod /modules/$module.ko || echo "insmod $module: $?"
done
echo "=== guest"
sh /command
echo "=== exit $?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"

search=
old_ifs=$IFS
IFS=:
for folder in $FIRMWARE; do search="$search -L $folder"; done
IFS=$old_ifs
"$QEMU" -M q35 -accel "${ACCEL:-tcg}" -cpu max -smp 2 -m "${MEMORY:-3G}" $search -nodefaults -display none -serial stdio -no-reboot \
	-kernel "$KERNEL" -initrd "$work/initrd" -append "console=ttyS0 panic=-1 loglevel=4" \
	-device "axl${DEVICE:+,$DEVICE}" >"$work/log" 2>&1 </dev/null || true
tr -d '\r' <"$work/log" >"$work/console"
status=$(sed -n 's/^=== exit //p' "$work/console")
sed -n '/^=== guest/,/^=== exit/p' "$work/console" | sed '1d;$d'
if [ -z "$status" ] || grep -qE 'BUG:|WARNING:|Oops|Call Trace|KASAN|lockdep' "$work/console"; then
	echo "the guest did not end well:" >&2
	tail -60 "$work/console" >&2
	exit 125
fi
exit "$status"
