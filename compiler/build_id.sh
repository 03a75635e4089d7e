#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The name of this build of the compiler: a digest of the object files that decide what a package holds.
#	build_id.sh OUTPUT OBJECT…
set -eu
output=$1
shift
id=$(for object; do sha256sum <"$object"; done | sha256sum | cut -d ' ' -f 1)
printf '/* SPDX-License-Identifier: MIT */\n#include "compiler/build_id.h"\n\nconst char compile_build_id[] = "%s";\n' "$id" >"$output"
