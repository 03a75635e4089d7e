#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Who may include whom (README.md, "Layout"): every #include of a project header is checked against the table below.
# A row: folder, then the prefixes that its files may include. The longest folder that matches a file counts.
set -eu
cd "$(dirname "$0")/.."

rules='
uapi            axl/ drm/
driver          axl/ drm/ axl_
sim/core        axl/ sim/core/
sim/inproc      axl/ sim/core/ sim/inproc/
sim/replay      axl/ sim/core/engine.h sim/inproc/inproc.h sim/replay/
sim/qemu        axl/ sim/core/ qemu/ qapi/ exec/ hw/ migration/ system/
libaccel        axl/ drm/ accel/ libaccel/ sim/inproc/inproc.h
runtime/cpu     runtime/cpu/
compiler        axl/ runtime/cpu/ runtime/fail.h compiler/ onnx.pb-c.h
runtime/cli     axl/ accel/ runtime/ compiler/ sim/replay/
runtime         axl/ accel/ runtime/ compiler/compiler.h compiler/package/axm.h compiler/package/checksum.h compiler/report/
'

git ls-files '*.c' '*.h' | grep -v '^tests/' | xargs awk -v rules="$rules" '
BEGIN {
	n = split(rules, row, "\n")
	for (i = 1; i <= n; i++)
		if (split(row[i], word, " ") > 1) {
			folder[++folders] = word[1]
			line = row[i]
			sub(/^[^ ]+ +/, "", line)
			allowed[word[1]] = line
		}
}
FNR == 1 {
	best = ""
	for (i = 1; i <= folders; i++)
		if (index(FILENAME, folder[i] "/") == 1 && length(folder[i]) > length(best))
			best = folder[i]
	if (best == "") { print FILENAME ": in no folder of the table"; bad = 1 }
}
match($0, /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]*[>"]/) {
	name = substr($0, RSTART, RLENGTH)
	quoted = name ~ /"/
	sub(/^[^<"]*[<"]/, "", name); sub(/[>"]$/, "", name)
	ours = quoted || name ~ /^(axl|drm\/axl|accel|sim|compiler|runtime|libaccel|driver)\//
	if (!ours || best == "") next
	ok = 0
	n = split(allowed[best], prefix, " ")
	for (i = 1; i <= n; i++)
		if (index(name, prefix[i]) == 1) ok = 1
	if (!ok) { print FILENAME ":" FNR ": includes " name ", which " best " may not"; bad = 1 }
}
END { exit bad }
'
