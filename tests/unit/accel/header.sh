#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each public header of libaccel stands alone, without a warning, in the languages and dialects of its users.
#	header.sh SOURCE-DIRECTORY
set -u
top=$1 bad=0
for header in "$top"/libaccel/include/accel/*.h; do
	for dialect in "cc -std=c99" "cc -std=c11" "cc -std=gnu17" "c++ -std=c++11 -x c++" "c++ -std=c++17 -x c++"; do
		echo "#include <accel/$(basename "$header")>" |
			$dialect $(case $dialect in cc*) echo -x c ;; esac) -fsyntax-only -pedantic -Wall -Wextra -Wconversion \
				-Wsign-compare -Werror -I"$top/libaccel/include" -I"$top/uapi" - ||
			{ echo "$(basename "$header"): $dialect"; bad=1; }
	done
done
exit $bad
