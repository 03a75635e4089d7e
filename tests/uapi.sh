#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The contracts are the same for everybody: each header of uapi/ compiles alone, as C, and those that programs and the kernel share (they have the
# kernel's types) as C++ too; the driver's has no hole in a struct, and a 32-bit program sees what a 64-bit one does.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Others' headers have padding.
drm=$(pkg-config --cflags libdrm | sed 's/-I/-isystem /g')
# COMPILER…: of the header alone
compile() {
	# shellcheck disable=SC2086
	echo "#include \"$header\"" | "$@" -Wall -Wextra -Werror -I"$top/uapi" $drm -fsyntax-only - ||
		{ echo "${header#"$top"/} does not compile alone: $*"; exit 1; }
}
for header in "$top"/uapi/*/*.h; do
	compile cc -x c -std=c11
	case $header in */uapi/drm/*) ;; *) grep -q '<linux/types.h>' "$header" || continue ;; esac
	compile c++ -x c++ -std=c++17
done

# Without padding in either, members lie one behind the other in both: then equal sizes of all structs say that they are the same. Sizes of arrays
# tell sizes of structs without running anything.
header=$top/uapi/drm/axl_accel.h
structs=$(sed -n 's/^struct \(drm_axl_[a-z_]*\) {.*/\1/p' "$header")
[ "$(echo "$structs" | wc -w)" -gt 20 ] || { echo "only these structs in $header: $structs"; exit 1; }
{
	echo '#include <drm/axl_accel.h>'
	for struct in $structs; do echo "char size_of_$struct[sizeof(struct $struct)];"; done
} >"$work/sizes.c"
for bits in 32 64; do
	# The C library's headers are those of the machine; the kernel's, which are all that is needed, know both.
	# shellcheck disable=SC2086
	cc -m$bits -ffreestanding -Wpadded -Werror -I"$top/uapi" $drm -isystem "/usr/include/$(cc -print-multiarch)" -c "$work/sizes.c" -o "$work/$bits.o"
	nm --print-size "$work/$bits.o" | awk '{ print $2, $4 }' | sed 's/^0*//' >"$work/$bits"
done
diff "$work/32" "$work/64" || { echo "32-bit programs see other structs"; exit 1; }
echo "$(echo "$structs" | wc -w) structs without a hole, the same for 32 and 64 bits"
