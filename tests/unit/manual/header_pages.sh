#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the generator of man 3 makes of a header, and that it refuses a function that nobody has described.
#	header_pages.sh HEADER_PAGES.py
set -eu
generator=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
	echo "FAILED: $*"
	exit 1
}

cat >"$folder/demo.h" <<'HEADER'
/* SPDX-License-Identifier: MIT */
/*
 * A library of nothing. What it has:
 *
 *	accel_one()	one
 */
#ifndef DEMO_H
#define DEMO_H

/* ---- a heading ---- */

/*
 * What to do.
 * @depth: how often; see @width
 *	   in each
 * @width: how far
 */
#define ACCEL_MOST 3

struct accel_demo {
	int depth, width;
};

/* Do it -- with a \n and a 'quote'. -EINVAL: @demo is bad. */
int accel_one(const struct accel_demo *demo);
int accel_two(const struct accel_demo *demo,
	      int more);

/* The same, inline. */
static inline int accel_three(void)
{
	if (1) {
		return 3;
	}
	return 0;
}

#endif
HEADER
python3 "$generator" 0.1 "$folder/man3" demo="$folder/demo.h"
[ "$(ls "$folder/man3" | tr '\n' ' ')" = "accel_demo.3 accel_demo.h.3 accel_one.3 accel_three.3 accel_two.3 " ] || fail "pages: $(ls "$folder/man3")"
[ "$(cat "$folder/man3/accel_two.3")" = ".so man3/accel_one.3" ] || fail "a link"

shown() {
	groff -man -ww -Kutf8 -Tascii -P-cbou "$folder/man3/$1" | tr -s ' ' >"$folder/text"
	grep -qF -- "$2" "$folder/text" || fail "$1 has no '$2': $(cat "$folder/text")"
}
shown accel_one.3 'accel_one, accel_two - do it -- with a \n'
shown accel_one.3 'int accel_one(const struct accel_demo *demo);'
shown accel_one.3 ' int more);'
shown accel_one.3 '-EINVAL: demo is bad.'
shown accel_one.3 'accel_demo(3), accel_demo.h(3)'
shown accel_three.3 'int accel_three(void);'
shown accel_demo.3 'how often; see width in each'
shown accel_demo.3 'struct accel_demo {'
shown accel_demo.h.3 'accel_one() one'
shown accel_demo.h.3 'accel_three(3)'
if groff -man -Tascii -P-cbou "$folder/man3/accel_three.3" | grep -q 'return 3'; then fail "the body is shown"; fi

sed -i 's|^/\* The same, inline. \*/||' "$folder/demo.h"
if python3 "$generator" 0.1 "$folder/man3" demo="$folder/demo.h" 2>"$folder/said"; then fail "a function without a comment is taken"; fi
grep -q 'accel_three has no comment' "$folder/said" || fail "it says: $(cat "$folder/said")"
