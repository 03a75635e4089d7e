#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a test VM is made of and the distribution has: packages that are missing get installed; QEMU's and the kernel's sources are
# fetched into the cache. On a release whose QEMU or meson is too old, from its backports, which the machine need not have
# configured: apt is given lists of its own and leaves the machine's alone.
#	sources.sh CACHE	prints shell assignments: QEMU_TARBALL, LINUX_TARBALL, KERNEL, MODULES, HEADERS
set -eu
cache=$1
mkdir -p "$cache/apt/lists/partial" "$cache/downloads"

wanted="busybox-static cpio kmod libfdt-dev libglib2.0-dev python3-pycotap meson ninja-build seabios qemu-system-data
	linux-headers-6.12-amd64|linux-headers-amd64 linux-image-6.12-amd64|linux-image-amd64
	flex bison bc libelf-dev libssl-dev rsync xz-utils dpkg-dev sparse"

installed() {
	dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

newest() {
	# shellcheck disable=SC2012
	ls -t "$cache/downloads"/$1 2>/dev/null | head -1
}

missing=
for entry in $wanted; do
	found=
	for name in $(echo "$entry" | tr '|' ' '); do
		installed "$name" && found=1
	done
	[ -n "$found" ] || missing="$missing $entry"
done
# QEMU 10 builds with nothing older.
if installed meson && dpkg --compare-versions "$(dpkg-query -W -f '${Version}' meson)" lt 1.5; then
	missing="$missing meson"
fi
qemu=$(newest 'qemu_1[0-9].*.orig.tar.xz')
linux=$(newest 'linux-source-6.12_*.deb')

if [ -n "$missing" ] || [ -z "$qemu" ] || [ -z "$linux" ]; then
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || { echo "not root and no sudo: install by hand:$missing" >&2; exit 1; }
		as_root=sudo
	fi
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# The mirror that the machine uses.
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" 2>/dev/null | sort -u | head -1)
	[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | sort -u | head -1)
	[ -n "$mirror" ] || { echo "apt has no source for $codename" >&2; exit 1; }
	{
		cat /etc/apt/sources.list 2>/dev/null || true
		for suite in "$codename" "$codename-backports"; do
			echo "deb $mirror $suite main"
			echo "deb-src $mirror $suite main"
		done
	} >"$cache/apt/sources.list"
	# What apt says of lines that the machine has as well, and of a folder that its own user can't write to, is no news.
	quietly() {
		{ "$@" 2>&1 1>&3 | grep -vE 'configured multiple times|unsandboxed' >&2 || true; } 3>&1
	}
	options="-qq -o Dir::Etc::sourcelist=$cache/apt/sources.list -o Dir::State::lists=$cache/apt/lists"
	# shellcheck disable=SC2086
	quietly $as_root apt-get $options update
	release=$codename
	[ "$codename" != bookworm ] || release=bookworm-backports

	if [ -n "$missing" ]; then
		names=
		for entry in $missing; do
			for name in $(echo "$entry" | tr '|' ' '); do
				# shellcheck disable=SC2086
				if apt-cache $options policy "$name" 2>/dev/null | grep -q 'Candidate: [^(]'; then
					case $name in
					meson | python3-pycotap) name="$name/$release" ;;
					esac
					names="$names $name"
					break
				fi
			done
		done
		echo "Installing for the VM:$names" >&2
		# shellcheck disable=SC2086
		quietly $as_root env DEBIAN_FRONTEND=noninteractive apt-get $options install -y --no-install-recommends $names >/dev/null
	fi
	cd "$cache/downloads"
	if [ -z "$qemu" ]; then
		echo "fetching QEMU's source" >&2
		# shellcheck disable=SC2086
		quietly apt-get $options source --tar-only --download-only "qemu/$release" >&2
		qemu=$(newest 'qemu_1[0-9].*.orig.tar.xz')
	fi
	if [ -z "$linux" ]; then
		echo "fetching the kernel's source" >&2
		# shellcheck disable=SC2086
		quietly apt-get $options download linux-source-6.12 >&2
		linux=$(newest 'linux-source-6.12_*.deb')
	fi
fi
[ -f "$qemu" ] || { echo "no source of QEMU 10 in this release" >&2; exit 1; }
[ -f "$linux" ] || { echo "no source of Linux 6.12 in this release" >&2; exit 1; }

tarball=${linux%.deb}.tar.xz
if [ ! -f "$tarball" ]; then
	dpkg-deb --fsys-tarfile "$linux" | tar -xO ./usr/src/linux-source-6.12.tar.xz >"$tarball.part"
	mv "$tarball.part" "$tarball"
fi
# The newest 6.12 or later that has its headers: axl.ko is built against it.
for kernel in $(ls /lib/modules 2>/dev/null | sort -rV); do
	[ -f "/boot/vmlinuz-$kernel" ] && [ -d "/lib/modules/$kernel/build" ] && break
	kernel=
done
[ -n "${kernel:-}" ] || { echo "no kernel with headers is installed" >&2; exit 1; }
cat <<END
QEMU_TARBALL='$qemu'
LINUX_TARBALL='$tarball'
KERNEL=/boot/vmlinuz-$kernel
MODULES=/lib/modules/$kernel
HEADERS=/lib/modules/$kernel/build
END
