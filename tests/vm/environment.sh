#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Everything that vm.sh boots, built where it is missing; prints it as shell assignments: QEMU, KERNEL, MODULES, AXL_KO.
#	environment.sh BUILD stock|debug	stock: the distribution's kernel; debug: the checked one (debug.config)
# AXL_CACHE: where QEMU and the kernel are kept (default: ~/.cache/axl)
set -eu
build=$1 kind=$2
here=$(cd "$(dirname "$0")" && pwd)
cache=${AXL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/axl}
mkdir -p "$cache"
assignments=$(sh "$here/sources.sh" "$cache")
eval "$assignments"
qemu=$(sh "$here/build-qemu.sh" "$QEMU_TARBALL" "$cache")
case $kind in
stock) ;;
debug)
	HEADERS=$(sh "$here/build-kernel.sh" "$LINUX_TARBALL" "$cache")
	KERNEL=$HEADERS/bzImage
	MODULES=
	;;
*)
	echo "kernel '$kind': stock or debug" >&2
	exit 2
	;;
esac
module=$(AXL_LABELS=$([ "$kind" != debug ] || echo 1) sh "$here/build-module.sh" "$HEADERS" "$(cd "$build" && pwd)/vm/$kind")
echo "QEMU='$qemu' KERNEL='$KERNEL' MODULES='$MODULES' AXL_KO='$module'"
