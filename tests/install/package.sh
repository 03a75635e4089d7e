#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The Debian packages, from the files that git has: built, held against lintian, and looked into; and the driver's source as DKMS would
# find it, built where a kernel's headers are.
#	package.sh
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
# Always the same place, whose name the compiler gets to see: else a compiler cache would find nothing.
work=$top/build-package
rm -rf "$work"
mkdir "$work"
fail() {
	echo "FAILED: $*"
	exit 1
}

mkdir "$work/axl"
(cd "$top" && git ls-files -z | xargs -0 tar -c --ignore-failed-read) | tar -x -C "$work/axl"
# debhelper gives the build a home folder of its own, in which a cache would be empty each time.
ccache=
if command -v ccache >/dev/null; then
	ccache=ccache
	CCACHE_DIR=$(ccache -k cache_dir)
	export CCACHE_DIR
fi
(cd "$work/axl" && CC="$ccache gcc" dpkg-buildpackage -us -uc -b) >"$work/log" 2>&1 || { tail -60 "$work/log"; fail "the packages do not build"; }
if grep -E 'dpkg-gensymbols: (warning|error)|dh_missing: (warning|error)' "$work/log"; then fail "symbols or files without a package"; fi

cd "$work"
version=$(dpkg-parsechangelog -l axl/debian/changelog -S Version)
for package in libaccel1 libaccel-runtime1 libaccel-dev accel-tools axl-dkms; do
	set -- "$package"_"$version"_*.deb
	[ -f "$1" ] || fail "no package $package"
	mkdir "in-$package"
	dpkg-deb -x "$1" "in-$package"
	dpkg-deb -x "$1" root
done
lintian --fail-on error --tag-display-limit 0 ./*.changes >"$work/lintian" 2>&1 || { cat "$work/lintian"; fail "lintian"; }
grep -c '^W:' "$work/lintian" | sed 's/^/lintian: no errors, warnings: /'

# Each file where it belongs.
has() {
	package=$1
	shift
	for file; do
		set -- "in-$package"/$file
		[ -e "$1" ] || fail "$package has no $file"
	done
}
has libaccel1 'usr/lib/*/libaccel.so.1'
has libaccel-runtime1 'usr/lib/*/libaccel-runtime.so.1'
has libaccel-dev usr/include/accel/accel.h usr/include/axl/axl_isa.h 'usr/lib/*/pkgconfig/accel-runtime.pc' \
	'usr/share/man/man3/accel_open.3.gz' usr/share/doc/libaccel-dev/examples/fill.c
has accel-tools usr/bin/accel usr/share/man/man1/accel-run.1.gz usr/share/bash-completion/completions/accel
has axl-dkms "usr/src/axl-$version/dkms.conf" "usr/src/axl-$version/Kbuild" "usr/src/axl-$version/driver/axl_drv.c" \
	usr/lib/udev/rules.d/60-axl.rules
grep -q "PACKAGE_VERSION=\"$version\"" "in-axl-dkms/usr/src/axl-$version/dkms.conf" || fail "dkms.conf has another version"

# What is installed together works together.
libraries=$(dirname "$(find root -name libaccel.so.1)")
answer=$(ACCEL_CACHE=off LD_LIBRARY_PATH=$libraries root/usr/bin/accel run "$top/tests/models/digits/digits.onnx" | grep -c '^output')
[ "$answer" = 1 ] || fail "the packaged accel does not run a model"
dpkg-deb -f "libaccel-runtime1_${version}"_*.deb Depends | grep -q 'libaccel1' || fail "the runtime does not depend on libaccel1"

headers=$(ls -d /usr/src/linux-headers-*-"$(dpkg --print-architecture)" /lib/modules/*/build 2>/dev/null | head -1)
if [ -n "$headers" ]; then
	make -C "$headers" M="$work/in-axl-dkms/usr/src/axl-$version" modules >"$work/module" 2>&1 || { tail -30 "$work/module"; fail "the module does not build"; }
	[ -f "in-axl-dkms/usr/src/axl-$version/axl.ko" ] || fail "no axl.ko"
	echo "axl.ko from the package's source: built against $(basename "$headers")"
else
	echo "axl.ko from the package's source: not built, there are no kernel headers"
fi
