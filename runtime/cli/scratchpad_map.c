/* SPDX-License-Identifier: MIT */
/* See scratchpad_map.h. */
#include "runtime/cli/scratchpad_map.h"

#include <string.h>

#include <axl/axl_access.h>

/*
 * @open: by slice the use that is not over; @written: there is one
 */
struct map {
	const struct axm *axm;
	const struct axm_region *region;
	struct scratchpad_use open[SCRATCHPAD_SLICES];
	bool written[SCRATCHPAD_SLICES];
	void (*use)(void *context, const struct scratchpad_use *use);
	void *context;
};

static void close_use(struct map *map, unsigned int slice)
{
	const struct scratchpad_use *open = &map->open[slice];

	if (map->written[slice] && open->to > open->from)
		map->use(map->context, open);
}

/* @record touches @slice. */
static void touch_slice(struct map *map, unsigned int slice, const struct axl_trace_record *record, uint32_t node,
			bool write)
{
	struct scratchpad_use *open = &map->open[slice];

	if (!write || (map->written[slice] && open->node == node)) { /* reads it, or goes on writing */
		open->to = record->end > open->to ? record->end : open->to;
		return;
	}
	close_use(map, slice);
	*open = (struct scratchpad_use){slice, node, record->begin, record->end};
	map->written[slice] = true;
}

static void touch(struct map *map, const struct axl_trace_record *record, const union axl_insn *insn,
		  const struct access *access)
{
	int64_t bytes = map->axm->model->spad_bytes;
	int field = access_field(insn->header.opcode, access->place);
	uint32_t address, node = (uint16_t)(record->tag - map->region->first_node);

	if (access->space != ACCESS_SPAD || field < 0 || node >= map->region->num_nodes)
		return;
	memcpy(&address, insn->bytes + field, sizeof(address));
	for (int64_t slice = 0; slice < SCRATCHPAD_SLICES; slice++)
		if (address + access->hi > bytes * slice / SCRATCHPAD_SLICES &&
		    address + access->lo < bytes * (slice + 1) / SCRATCHPAD_SLICES)
			touch_slice(map, (unsigned int)slice, record, map->region->first_node + node, access->write);
}

void scratchpad_map(const struct axm *axm, uint32_t region, const struct axl_trace_record *records, size_t count,
		    unsigned int tile, void (*use)(void *context, const struct scratchpad_use *use), void *context)
{
	struct map map = {.axm = axm, .region = &axm->regions[region], .use = use, .context = context};
	const uint8_t *code = axm->data + map.region->code;

	for (size_t i = 0; i < count; i++) {
		const struct axl_trace_record *record = &records[i];
		struct access list[ACCESS_MAX];
		union axl_insn insn = {.bytes = {0}};
		size_t touched;

		if (record->tile != tile)
			continue;
		memcpy(&insn, code + record->offset, AXL_SLOT_BYTES);
		memcpy(&insn, code + record->offset, insn.header.slots * (size_t)AXL_SLOT_BYTES);
		touched = access_list(&insn, list);
		for (int write = 0; write < 2; write++) /* operands are read before results are written */
			for (size_t a = 0; a < touched; a++)
				if (list[a].write == write)
					touch(&map, record, &insn, &list[a]);
	}
	for (unsigned int slice = 0; slice < SCRATCHPAD_SLICES; slice++)
		close_use(&map, slice);
}
