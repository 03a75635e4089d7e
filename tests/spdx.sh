#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every file that people write says under which licence, in its first lines, and it is the one of its folder:
#
#	driver/, Kbuild		GPL-2.0-only			sim/qemu/	GPL-2.0-or-later, as QEMU
#	uapi/			(GPL-2.0-only WITH Linux-syscall-note) OR MIT
#	all others		MIT
#
# Not asked of data (models, corpora, samples, recorded figures) and of formats without comments; their licence is that of the project.
#	spdx.sh [FILE...]	instead of all that git has
set -u
[ $# -gt 0 ] || cd "$(dirname "$0")/.." || exit 1

files() {
	if [ $# -gt 0 ]; then
		printf '%s\n' "$@"
	else
		git ls-files
	fi
}

bad=$(files "$@" | while read -r file; do
	case $file in
	LICENSES/* | *.md | *.txt | *.json | *.pb | *.onnx | *.npy | *.xz | *.data | *.svg | *.png | .gitignore) continue ;;
	debian/changelog | debian/control | debian/*.install | debian/*.symbols | debian/copyright | debian/source/format) continue ;;
	tests/vm/reports | tests/vm/unreached) continue ;;	# lists without comments
	tests/vm/debug.config) continue ;;			# whose every change builds a kernel
	tests/fuzz/corpus/* | tests/*/corpus/*) continue ;;
	driver/.clang-format) want='GPL-2.0-only' ;;
	driver/*.rules | driver/dkms.conf | driver/* | Kbuild) want='GPL-2.0-only' ;;
	sim/qemu/meson.build | sim/qemu/*) want='GPL-2.0-or-later' ;;
	uapi/meson.build) want='MIT' ;;
	uapi/*) want='(GPL-2.0-only WITH Linux-syscall-note) OR MIT' ;;
	*) want='MIT' ;;
	esac
	[ -f "$file" ] || continue
	said=$(head -n 3 "$file" | sed -n 's/.*SPDX-License-Identifier: *//p' | head -n 1 | sed 's/ *\*\/ *$//; s/ *-->$//')
	[ "$said" = "$want" ] || echo "$file: '$said', not '$want'"
done)
[ -z "$bad" ] || { echo "$bad"; exit 1; }
for license in GPL-2.0-only GPL-2.0-or-later Linux-syscall-note MIT; do
	[ $# -gt 0 ] || [ -s "LICENSES/$license.txt" ] || { echo "LICENSES/$license.txt is missing"; exit 1; }
done
