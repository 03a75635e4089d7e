#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The same input gives the same bytes, whatever was in the memory that the compiler got: glibc fills it as MALLOC_PERTURB_ says.
#	same_bytes.sh ACCEL MODEL…
set -eu
accel=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for model in "$@"; do
	for target in axl-edge axl-pro; do
		for precision in fp16 int8; do
			for fill in 0 1 85 255; do
				MALLOC_PERTURB_=$fill "$accel" compile "$model" --target $target --precision $precision \
					--output "$folder/$fill.axm" --quiet
				cmp "$folder/0.axm" "$folder/$fill.axm" ||
					{ echo "$model $target $precision: other bytes where memory was filled with $fill"; exit 1; }
			done
		done
	done
done
