#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual is whole and clean: a page for each command with each option that its --help lists, a page for each symbol that a library
# exports, and no complaint of groff or mandoc.
#	pages.sh ACCEL MAN1 MAN3 LIBRARY.so…
set -u
accel=$1 man1=$(realpath "$2") man3=$(realpath "$3") bad=0
shift 3

complain() {
	echo "$*"
	bad=1
}

commands=$("$accel" --describe | cut -f 1)
[ -n "$commands" ] || complain "accel has no commands"
for command in $commands; do
	page=$man1/accel-$command.1
	[ -s "$page" ] || { complain "no page for accel $command"; continue; }
	grep -q "accel\\\\-$command" "$man1/accel.1" || complain "accel.1 does not name $command"
	text=$(groff -man -Kutf8 -Tutf8 -P-cbou "$page")
	options=$("$accel" "$command" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p')
	[ -n "$options" ] || complain "accel $command --help lists no option"
	for option in $options; do
		echo "$text" | grep -q -- "--$option\b" || complain "accel-$command.1 does not have --$option"
	done
done

for library; do
	symbols=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
	[ -n "$symbols" ] || complain "$library exports nothing"
	for symbol in $symbols; do
		[ -s "$man3/$symbol.3" ] || complain "no page for $symbol()"
	done
done

# Links are relative to the folder above.
pages=$(ls "$man1"/*.1 "$man3"/*.3)
cd "$man3/.." || exit 1
for page in $pages; do
	said=$(groff -man -ww -Kutf8 -Tutf8 -z "$page" 2>&1)
	[ -z "$said" ] || complain "$said"
	# The date is left out for builds that can be repeated; links are what Debian's manual has too.
	said=$(mandoc -Tlint -Wwarning "$page" 2>&1 | grep -v -e 'missing date' -e '\.so is fragile')
	[ -z "$said" ] || complain "$said"
done
exit $bad
