/* SPDX-License-Identifier: MIT */
/* LOAD and STORE: every index of the block, one element at a time. */
#include <errno.h>
#include <string.h>

#include "tests/reference/element.h"
#include "tests/reference/reference.h"

/* Address of the element in memory relative to the base register; false: outside the ranges. */
static bool memory_address(const struct axl_dma *dma, const uint32_t *i, const uint8_t *spad, int64_t *address,
			   int *err)
{
	*address = (int64_t)dma->offset;
	for (int d = 0; d < 5; d++) {
		uint32_t hi = dma->hi[d] ? dma->hi[d] : dma->dims[d];

		if (i[d] < dma->lo[d] || i[d] >= hi)
			return false;
	}
	for (int d = 0; d < 5; d++) {
		int64_t row = (int64_t)i[d] - dma->lo[d];

		if (d == 0 && dma->dma_flags & AXL_DMA_GATHER) {
			int32_t index;

			memcpy(&index, spad + dma->index_addr + 4 * row, 4);
			if (index < 0 || (uint32_t)index >= dma->index_limit) {
				*err = -ERANGE;
				return false;
			}
			row = index;
		}
		*address += row * dma->mem_stride[d];
	}
	return true;
}

int reference_transfer(const struct axl_dma *dma, uint8_t *const *spads, unsigned int tiles, unsigned int tile,
		       uint8_t *memory)
{
	bool load = dma->header.opcode == AXL_OP_LOAD;
	unsigned int mask = load && dma->tiles ? dma->tiles : 1u << tile;
	uint32_t i[5];

	for (i[0] = 0; i[0] < dma->dims[0]; i[0]++)
		for (i[1] = 0; i[1] < dma->dims[1]; i[1]++)
			for (i[2] = 0; i[2] < dma->dims[2]; i[2]++)
				for (i[3] = 0; i[3] < dma->dims[3]; i[3]++)
					for (i[4] = 0; i[4] < dma->dims[4]; i[4]++) {
						int64_t address, spad = dma->spad;
						int err = 0;
						bool exists = memory_address(dma, i, spads[tile], &address, &err);

						if (err)
							return err;
						for (int d = 0; d < 5; d++)
							spad += (int64_t)i[d] * dma->spad_stride[d];
						if (!load && exists)
							element_copy(memory + address, dma->mem_type,
								     spads[tile] + spad, dma->spad_type);
						for (unsigned int t = 0; load && t < tiles; t++) {
							if (!(mask >> t & 1))
								continue;
							if (exists)
								element_copy(spads[t] + spad, dma->spad_type,
									     memory + address, dma->mem_type);
							else
								memcpy(spads[t] + spad, &dma->fill,
								       element_size(dma->spad_type));
						}
					}
	return 0;
}
