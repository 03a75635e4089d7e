#!/bin/sh
# SPDX-License-Identifier: MIT
#
# QEMU with the AXL device in it: the distribution's upstream tarball, the device as an overlay of one folder and two appended build
# lines. Cached by content outside the build tree; prints the path of the binary.
#	build-qemu.sh TARBALL CACHE [plain|sanitized]	sanitized: all of QEMU under AddressSanitizer and UBSan
set -eu
tarball=$1 cache=$2 kind=${3:-plain}
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
qemu=$top/sim/qemu
case $kind in
plain) folder=build options= ;;
# Without debug information it builds in half the time, and reports still name functions.
sanitized) folder=build-sanitized options="--enable-asan --enable-ubsan -Doptimization=1 --disable-debug-info" ;;
*)
	echo "QEMU '$kind': plain or sanitized" >&2
	exit 2
	;;
esac
key=$( (sha256sum <"$tarball"; echo "$kind"; cat "$0" "$qemu"/*.[ch] "$qemu/Kconfig" "$qemu/meson.build" "$qemu/trace-events" "$top"/sim/core/*.[ch] "$top"/uapi/axl/*.h) | sha256sum | cut -c1-16)
out=$cache/qemu-$key
[ -x "$out/qemu-system-x86_64" ] && { echo "$out/qemu-system-x86_64"; exit 0; }
mkdir -p "$cache"
# Both kinds are built from one folder of sources.
exec 9>"$cache/qemu.lock"
flock 9
base=$cache/qemu-src-$(sha256sum <"$tarball" | cut -c1-16)
if [ ! -d "$base" ]; then
	echo "unpacking QEMU" >&2
	rm -rf "$base.part" && mkdir "$base.part"
	tar -xJf "$tarball" -C "$base.part" --strip-components=1
	# The distribution's tarball has no firmware images: what would unpack them goes.
	sed -i 's/^if unpack_edk2_blobs/if false/' "$base.part/pc-bios/meson.build"
	mv "$base.part" "$base"
fi
overlay=$base/hw/misc/axl
rm -rf "$overlay" && mkdir -p "$overlay/sim"
cp "$qemu"/* "$overlay/"
cp -r "$top/sim/core" "$overlay/sim/core"
rm -f "$overlay/sim/core/meson.build"
cp -r "$top/uapi/axl" "$overlay/axl"
grep -q "subdir('axl')" "$base/hw/misc/meson.build" || echo "subdir('axl')" >>"$base/hw/misc/meson.build"
grep -q 'source axl/Kconfig' "$base/hw/misc/Kconfig" || echo 'source axl/Kconfig' >>"$base/hw/misc/Kconfig"
mkdir -p "$base/$folder" && cd "$base/$folder"
if [ ! -f build.ninja ]; then
	echo "configuring QEMU ($kind)" >&2
	# shellcheck disable=SC2086
	../configure --target-list=x86_64-softmmu --without-default-features --enable-tcg --disable-docs --disable-tools \
		--disable-install-blobs --python=/usr/bin/python3 $options >configure.log 2>&1 || { tail -20 configure.log >&2; exit 1; }
fi
echo "building QEMU ($kind)" >&2
ninja qemu-system-x86_64 >build.log 2>&1 || { grep -E 'error|FAILED' build.log | head -20 >&2; exit 1; }
mkdir -p "$out"
cp qemu-system-x86_64 "$out/"
echo "$out/qemu-system-x86_64"
