#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The checked kernel (KASAN, lockdep, kmemleak, DMA-API debug, fault injection) from the distribution's kernel source. Cached by
# content outside the build tree; prints the folder, in which bzImage is the kernel and where modules can be built against.
#	build-kernel.sh LINUX-SOURCE.tar.xz CACHE
set -eu
tarball=$1 cache=$2
here=$(cd "$(dirname "$0")" && pwd)
key=$( (sha256sum <"$tarball"; cat "$0" "$here/debug.config") | sha256sum | cut -c1-16)
out=$cache/linux-$key
[ -f "$out/bzImage" ] && { echo "$out"; exit 0; }
rm -rf "$out" "$out.part"
mkdir -p "$out.part"
echo "unpacking the kernel" >&2
tar -xJf "$tarball" -C "$out.part" --strip-components=1
cd "$out.part"
# The helpers have no switch of their own: whoever uses them selects them.
cat >>drivers/accel/Kconfig <<'KCONFIG'

config AXL_HELPERS
	tristate "What axl.ko, which is built out of tree, stands on"
	depends on DRM && DRM_ACCEL && MMU
	select DRM_BUDDY
	select DRM_EXEC
	select DRM_GEM_SHMEM_HELPER
	select DRM_GPUVM
	select DRM_SCHED
	select WANT_DEV_COREDUMP
KCONFIG
make -s tinyconfig >config.log 2>&1
cat "$here/debug.config" >>.config
make -s olddefconfig >>config.log 2>&1
missing=
while read -r line; do
	case $line in
	CONFIG_*=n) grep -q "^${line%=n}=" .config && missing="$missing $line" ;;
	CONFIG_*) grep -qx "$line" .config || missing="$missing $line" ;;
	"# CONFIG_"*) grep -q "^$(echo "$line" | cut -d' ' -f2)=" .config && missing="$missing $line" ;;
	esac
done <"$here/debug.config"
[ -z "$missing" ] || { echo "the configuration did not take:$missing" >&2; exit 1; }
echo "building the checked kernel: about a quarter of an hour on two cores, once" >&2
make -j"$(nproc)" bzImage modules 2>build.err | while read -r step file; do
	done_=$((${done_:-0} + 1))
	[ $((done_ % 100)) = 0 ] && printf '\r%d files, now %-60.60s' "$done_" "$file" >&2
	true
done
echo >&2
[ -f arch/x86/boot/bzImage ] || { tail -20 build.err >&2; exit 1; }
cp arch/x86/boot/bzImage bzImage
cd /
mv "$out.part" "$out"
echo "$out"
