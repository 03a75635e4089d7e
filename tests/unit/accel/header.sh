#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each public header of libaccel stands alone, without a warning, in the languages and dialects of its users. Those of uapi/ too, and
# no struct of theirs has a hole: then 32- and 64-bit programs see the same layout (every 64-bit field lies where i386 puts it as well).
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
for header in axl/axl_regs.h axl/axl_queue.h axl/axl_isa.h drm/axl_accel.h; do
	for dialect in "cc -std=gnu11 -x c" "cc -std=gnu17 -x c" "c++ -std=c++17 -x c++"; do
		echo "#include <$header>" |
			$dialect -fsyntax-only -Wall -Wextra -Wpadded -Werror -I"$top/uapi" $(pkg-config --cflags libdrm | sed 's/-I/-isystem /g') - ||
			{ echo "$header: $dialect"; bad=1; }
	done
done
exit $bad
