#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Install the Debian packages that building and testing need and that are not there yet. Says what it does before it does it;
# does nothing, and needs no network, when everything is there.
set -eu

wanted="build-essential clang libclang-rt-14-dev|libclang-rt-dev pkg-config meson ninja-build
	libdrm-dev libpci-dev libssl-dev libprotobuf-c-dev protobuf-c-compiler libopenblas-dev libpcre2-dev
	libmicrohttpd-dev libjson-c-dev
	libjpeg-dev libopenjp2-7-dev libpng-dev libtiff-dev libwebp-dev libcmocka-dev libonnx-testdata strace xz-utils binutils python3 groff-base mandoc debhelper dh-dkms lintian"

installed() {
	dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

missing=
for entry in $wanted; do
	first=${entry%%|*}
	found=
	for name in $(echo "$entry" | tr '|' ' '); do
		if installed "$name"; then
			found=1
		fi
	done
	[ -n "$found" ] || missing="$missing $first"
done
[ -n "$missing" ] || exit 0

echo "Installing:$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "not root and no sudo: install by hand:$missing" >&2; exit 1; }
	as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
for name in $missing; do
	# A name that this release does not have is replaced by its alternative.
	if ! apt-cache show "$name" >/dev/null 2>&1; then
		alternative=$(for entry in $wanted; do case $entry in "$name|"*) echo "${entry#*|}";; esac; done)
		missing=$(echo "$missing" | sed "s/ $name\\b/ $alternative/")
	fi
done
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
