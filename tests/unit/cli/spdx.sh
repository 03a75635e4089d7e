#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The check of licence lines (tests/spdx.sh) finds what is missing, wrong or in the wrong folder.
#	spdx.sh CHECK
set -eu
check=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir driver uapi runtime
says() {
	want=$1 file=$2
	if sh "$check" "$file" >said; then got=good; else got=bad; fi
	[ "$got" = "$want" ] || { echo "FAILED: $file is $got, not $want: $(cat said)"; exit 1; }
}
echo '/* SPDX-License-Identifier: MIT */' >runtime/a.c
says good runtime/a.c
cp runtime/a.c driver/a.c
says bad driver/a.c
echo '/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */' >uapi/a.h
says good uapi/a.h
cp uapi/a.h runtime/b.c
says bad runtime/b.c
echo 'int x;' >runtime/c.c
says bad runtime/c.c
grep -q "runtime/c.c: '', not 'MIT'" said || { echo "FAILED: $(cat said)"; exit 1; }
printf '#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-only\n' >driver/d.sh
says good driver/d.sh
printf '\n\n\n\n/* SPDX-License-Identifier: MIT */\n' >runtime/late.c
says bad runtime/late.c
echo '{}' >runtime/data.json
says good runtime/data.json
