/* SPDX-License-Identifier: MIT */
/* Any bytes as an .axm file, with the checksum made right so that the rules behind it are reached. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/package/axm.h"
#include "compiler/package/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	struct axm axm;
	char error[256];

	size &= ~(size_t)63;
	if (size < sizeof(struct axm_header))
		return 0;
	copy = aligned_alloc(64, size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	((struct axm_header *)(void *)copy)->file_size = size;
	((struct axm_header *)(void *)copy)->checksum =
		checksum_file(copy, size, offsetof(struct axm_header, checksum));
	if (!axm_open_bytes(copy, size, &axm, error, sizeof(error)))
		axm_close(&axm);
	free(copy);
	return 0;
}
