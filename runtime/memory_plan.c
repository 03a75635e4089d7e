// SPDX-License-Identifier: MIT
/*
 * The memory plan: see memory_plan.h.
 *
 * Largest values first, each at the lowest place where it does not meet one that lives at the same time. That is within a
 * few percent of the peak of what is alive for the networks in use, and a thousand values take a millisecond.
 */
#include "runtime/memory_plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/large_memory.h"
#include "runtime/cpu/op.h"
#include "runtime/region_order.h"

/*
 * struct block - memory for a value and those that lie on it
 * @first, @last: steps from the one that writes it to the last that reads it, and all that may run in their place meanwhile
 */
struct block {
	uint64_t size, offset;
	uint32_t first, last;
};

/*
 * struct planner
 * @block_of: by value: its block, or AXM_NO_ID
 * @within:   by value: where it begins in its block
 * @whole_of: by value: the value that it is joined into (Concat), of which it begins @part_at bytes behind the start, or AXM_NO_ID
 * @regions:  which of them may run at the same time; @begins: by region: its first step, and behind them the number of steps
 * @order:    blocks by size; @placed: those that have their place, by offset
 */
struct planner {
	const struct axm *axm;
	uint32_t *block_of, *whole_of;
	uint64_t *within, *part_at;
	struct region_order regions;
	uint32_t *begins;
	struct block *blocks, **order, **placed;
	uint32_t num_blocks;
};

uint64_t memory_plan_value_bytes(const struct axm_value *value)
{
	size_t element = dtype_size((enum dtype)value->dtype);
	int64_t count;

	if (value->flags & (AXM_VALUE_CONSTANT | AXM_VALUE_INPUT | AXM_VALUE_OUTPUT) || !element ||
	    dtype_owns_memory((enum dtype)value->dtype))
		return 0;
	for (uint32_t d = 0; d < value->rank; d++)
		if (value->dims[d] < 0)
			return 0;
	count = dims_count((int)value->rank, value->dims);
	if (count <= 0 || (uint64_t)count > (UINT64_MAX >> 8) / element)
		return 0;
	return ((uint64_t)count * element + MEMORY_PLAN_ALIGNMENT - 1) / MEMORY_PLAN_ALIGNMENT * MEMORY_PLAN_ALIGNMENT;
}

/* ---- Concat: its inputs are written where its output will be ---- */

/* Whether the inputs of Concat lie one behind the other in its output: no dimension before the axis is larger than 1. */
static bool joins_whole_pieces(const struct axm *axm, const struct axm_node *node)
{
	const struct axm_value *out;
	int64_t axis = 1; /* the default of the versions that have one */

	if (*axm_string(axm, node->domain) || strcmp(axm_string(axm, node->op_type), "Concat") ||
	    node->num_outputs != 1 || axm->ids[node->outputs_first] == AXM_NO_ID)
		return false;
	out = &axm->values[axm->ids[node->outputs_first]];
	for (uint32_t i = 0; i < node->num_attrs; i++)
		if (!strcmp(axm_string(axm, axm->attrs[node->attrs_first + i].name), "axis"))
			axis = axm->attrs[node->attrs_first + i].i;
	if (axis < 0)
		axis += out->rank;
	if (!memory_plan_value_bytes(out) || axis < 0 || axis >= (int64_t)out->rank)
		return false;
	for (int64_t d = 0; d < axis; d++)
		if (out->dims[d] != 1)
			return false;
	return true;
}

/*
 * A value can be part of one whole only, and must fill its piece exactly: others' bytes follow. The first whole that wants
 * it gets it; the kernel copies the others.
 */
static void join_parts(struct planner *p, const struct axm_node *node)
{
	const struct axm *axm = p->axm;
	uint32_t whole = axm->ids[node->outputs_first];
	uint64_t at = 0, end = axm_value_bytes(&axm->values[whole]);

	for (uint32_t i = 0; i < node->num_inputs; i++) {
		uint32_t id = axm->ids[node->inputs_first + i];
		const struct axm_value *part;
		uint64_t bytes;

		if (id == AXM_NO_ID)
			return;
		part = &axm->values[id];
		for (uint32_t d = 0; d < part->rank; d++)
			if (part->dims[d] < 0)
				return;
		bytes = axm_value_bytes(part);
		if (bytes > end - at)
			return;
		if (at % MEMORY_PLAN_ALIGNMENT == 0 && bytes == memory_plan_value_bytes(part) &&
		    p->whole_of[id] == AXM_NO_ID) {
			p->whole_of[id] = whole;
			p->part_at[id] = at;
		}
		at += bytes;
	}
}

/* In the order of execution: a whole is never a part of what it is made of. */
static void find_parts(struct planner *p)
{
	for (uint32_t r = 0; r < p->axm->num_regions; r++) {
		const struct axm_region *region = &p->axm->regions[r];

		for (uint32_t n = 0; n < region->num_nodes && !region->device; n++)
			if (joins_whole_pieces(p->axm, &p->axm->nodes[region->first_node + n]))
				join_parts(p, &p->axm->nodes[region->first_node + n]);
	}
}

/* ---- lives ---- */

/* The kernels of these skip the copy when their output lies where their input does. */
static bool passes_through(const struct axm *axm, const struct axm_node *node)
{
	static const char *const names[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"};

	if (!node || *axm_string(axm, node->domain) || !node->num_inputs || node->num_outputs != 1)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(axm_string(axm, node->op_type), names[i]))
			return true;
	return false;
}

/*
 * Regions that wait for nothing of each other run in any order, or at the same time. What one of them touches lives as long as all of
 * them: bytes get another owner only where everybody who read the old one is done by then.
 */
static void live(struct planner *p, uint32_t region, uint32_t step, struct block *block)
{
	uint32_t earliest = p->regions.earliest[region], latest = p->regions.latest[region];
	uint32_t first = earliest == region ? step : p->begins[earliest];
	uint32_t last = latest == region ? step : p->begins[latest + 1] - 1;

	block->first = first < block->first ? first : block->first;
	block->last = last > block->last ? last : block->last;
}

/* @node: the CPU node that writes it; NULL for a device region. */
static void write_value(struct planner *p, const struct axm_node *node, uint32_t region, uint32_t step, uint32_t id)
{
	uint32_t source = passes_through(p->axm, node) ? p->axm->ids[node->inputs_first] : AXM_NO_ID, whole = id;
	uint64_t size = memory_plan_value_bytes(&p->axm->values[id]), within = 0;

	if (!size || p->block_of[id] != AXM_NO_ID)
		return;
	for (; p->whole_of[whole] != AXM_NO_ID; whole = p->whole_of[whole])
		within += p->part_at[whole];
	if (whole == id && source != AXM_NO_ID && p->block_of[source] != AXM_NO_ID &&
	    memory_plan_value_bytes(&p->axm->values[source]) == size) {
		p->block_of[id] = p->block_of[source];
		p->within[id] = p->within[source];
	} else {
		/* The first part that is written begins the life of the whole. */
		if (p->block_of[whole] == AXM_NO_ID) {
			p->block_of[whole] = p->num_blocks;
			p->blocks[p->num_blocks++] =
				(struct block){.size = memory_plan_value_bytes(&p->axm->values[whole]), .first = step};
		}
		p->block_of[id] = p->block_of[whole];
		p->within[id] = within;
	}
	live(p, region, step, &p->blocks[p->block_of[id]]);
}

static void read_values(struct planner *p, uint32_t region, uint32_t step, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t id = p->axm->ids[first + i];

		if (id != AXM_NO_ID && p->block_of[id] != AXM_NO_ID)
			live(p, region, step, &p->blocks[p->block_of[id]]);
	}
}

static void write_values(struct planner *p, const struct axm_node *node, uint32_t region, uint32_t step, uint32_t first,
			 uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (p->axm->ids[first + i] != AXM_NO_ID)
			write_value(p, node, region, step, p->axm->ids[first + i]);
}

static void count_steps(struct planner *p)
{
	uint32_t step = 0;

	for (uint32_t r = 0; r < p->axm->num_regions; r++) {
		p->begins[r] = step;
		step += p->axm->regions[r].device ? 1 : p->axm->regions[r].num_nodes;
	}
	p->begins[p->axm->num_regions] = step;
}

/* In the order of execution, so that what is read has been written. The device runs a region's nodes together. */
static void find_lives(struct planner *p)
{
	const struct axm *axm = p->axm;

	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];
		uint32_t step = p->begins[r];

		if (region->device) {
			read_values(p, r, step, region->inputs_first, region->num_inputs);
			write_values(p, NULL, r, step, region->outputs_first, region->num_outputs);
			continue;
		}
		for (uint32_t n = region->first_node; n < region->first_node + region->num_nodes; n++, step++) {
			const struct axm_node *node = &axm->nodes[n];

			read_values(p, r, step, node->inputs_first, node->num_inputs);
			write_values(p, node, r, step, node->outputs_first, node->num_outputs);
		}
	}
}

static int by_size(const void *a, const void *b)
{
	const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return (x > y) - (x < y);
}

/* The lowest place for @block beside those of @placed, which are in the order of their offsets, that live with it. */
static uint64_t lowest_place(const struct block *block, struct block *const *placed, uint32_t count)
{
	uint64_t offset = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct block *other = placed[i];

		if (other->last < block->first || block->last < other->first)
			continue;
		if (other->offset >= offset + block->size)
			break;
		if (other->offset + other->size > offset)
			offset = other->offset + other->size;
	}
	return offset;
}

static uint64_t place_blocks(struct planner *p)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < p->num_blocks; i++)
		p->order[i] = &p->blocks[i];
	qsort(p->order, p->num_blocks, sizeof(*p->order), by_size);
	for (uint32_t i = 0; i < p->num_blocks; i++) {
		struct block *block = p->order[i];
		uint32_t at = i;

		block->offset = lowest_place(block, p->placed, i);
		for (; at && p->placed[at - 1]->offset > block->offset; at--)
			p->placed[at] = p->placed[at - 1];
		p->placed[at] = block;
		if (block->offset + block->size > end)
			end = block->offset + block->size;
	}
	return end;
}

int memory_plan_make(const struct axm *axm, struct memory_plan *plan)
{
	struct planner p = {.axm = axm};
	size_t count = (size_t)axm->num_values + 1;
	int err = -ENOMEM;

	*plan = (struct memory_plan){.offsets = malloc(count * sizeof(*plan->offsets))};
	p.block_of = malloc(count * sizeof(*p.block_of));
	p.blocks = calloc(count, sizeof(*p.blocks));
	p.order = calloc(count, sizeof(struct block *));
	p.placed = calloc(count, sizeof(struct block *));
	p.whole_of = malloc(count * sizeof(*p.whole_of));
	p.within = calloc(count, sizeof(*p.within));
	p.part_at = calloc(count, sizeof(*p.part_at));
	p.begins = calloc((size_t)axm->num_regions + 1, sizeof(*p.begins));
	if (region_order_make(axm, &p.regions) || !p.begins || !plan->offsets || !p.block_of || !p.blocks || !p.order ||
	    !p.placed || !p.whole_of || !p.within || !p.part_at)
		goto out_free;
	memset(p.block_of, 0xff, count * sizeof(*p.block_of)); /* AXM_NO_ID */
	memset(p.whole_of, 0xff, count * sizeof(*p.whole_of));
	if (!region_order_has_bodies(axm)) {
		find_parts(&p);
		count_steps(&p);
		find_lives(&p);
	}
	plan->bytes = place_blocks(&p);
	for (uint32_t i = 0; i < axm->num_values; i++)
		plan->offsets[i] =
			p.block_of[i] == AXM_NO_ID ? MEMORY_PLAN_NONE : p.blocks[p.block_of[i]].offset + p.within[i];
	err = 0;
out_free:
	free(p.block_of);
	free(p.blocks);
	free(p.order);
	free(p.placed);
	free(p.whole_of);
	free(p.within);
	free(p.part_at);
	free(p.begins);
	region_order_finish(&p.regions);
	return err;
}

void memory_plan_finish(struct memory_plan *plan)
{
	free(plan->offsets);
	*plan = (struct memory_plan){0};
}

/* ---- the memory ---- */

int memory_plan_place(const struct axm *axm, struct tensor *values, uint8_t **block)
{
	struct memory_plan plan;
	int err = memory_plan_make(axm, &plan);

	*block = NULL;
	if (!err && plan.bytes) {
		*block = large_memory(plan.bytes);
		err = *block ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; i < axm->num_values && !err; i++) {
		const struct axm_value *value = &axm->values[i];

		if (plan.offsets[i] != MEMORY_PLAN_NONE)
			err = tensor_init_view(&values[i], (enum dtype)value->dtype, (int)value->rank, value->dims,
					       *block + plan.offsets[i], memory_plan_value_bytes(value));
	}
	memory_plan_finish(&plan);
	return err;
}
