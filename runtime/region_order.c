/* SPDX-License-Identifier: MIT */
/* See region_order.h. */
#include "runtime/region_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/op.h"

/*
 * struct builder
 * @writer: by value: the region that writes it, or AXM_NO_ID
 * @before: a row of bits a region: those that are done when it begins
 * @direct: the same for those that it waits for itself
 */
struct builder {
	const struct axm *axm;
	uint32_t *writer;
	uint64_t *before, *direct;
	size_t words;
};

bool region_order_has_bodies(const struct axm *axm)
{
	for (uint32_t i = 0; i < axm->num_attrs; i++)
		if (axm->attrs[i].type == ATTR_GRAPH || axm->attrs[i].type == ATTR_GRAPHS)
			return true;
	return false;
}

static bool get_bit(const uint64_t *row, uint32_t bit)
{
	return row[bit / 64] >> bit % 64 & 1;
}

static void wait_for(struct builder *b, uint32_t region, uint32_t other)
{
	uint64_t *row = &b->before[region * b->words];
	const uint64_t *earlier = &b->before[other * b->words];

	b->direct[region * b->words + other / 64] |= UINT64_C(1) << other % 64;
	row[other / 64] |= UINT64_C(1) << other % 64;
	for (size_t w = 0; w < b->words; w++)
		row[w] |= earlier[w];
}

static void read_list(struct builder *b, uint32_t region, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t id = b->axm->ids[first + i];

		if (id != AXM_NO_ID && b->writer[id] != AXM_NO_ID && b->writer[id] != region)
			wait_for(b, region, b->writer[id]);
	}
}

static void write_list(struct builder *b, uint32_t region, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (b->axm->ids[first + i] != AXM_NO_ID)
			b->writer[b->axm->ids[first + i]] = region;
}

/* In the order of execution: what is read has its writer. */
static void find_waits(struct builder *b)
{
	const struct axm *axm = b->axm;
	bool in_order = region_order_has_bodies(axm);

	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];

		if (in_order && r)
			wait_for(b, r, r - 1);
		if (in_order)
			continue;
		if (region->device) {
			read_list(b, r, region->inputs_first, region->num_inputs);
			write_list(b, r, region->outputs_first, region->num_outputs);
			continue;
		}
		for (uint32_t n = region->first_node; n < region->first_node + region->num_nodes; n++) {
			read_list(b, r, axm->nodes[n].inputs_first, axm->nodes[n].num_inputs);
			write_list(b, r, axm->nodes[n].outputs_first, axm->nodes[n].num_outputs);
		}
	}
}

static void find_followers(const struct builder *b, struct region_order *order)
{
	uint32_t count = 0;

	for (uint32_t r = 0; r < order->num; r++) {
		order->first[r] = count;
		for (uint32_t other = r + 1; other < order->num; other++)
			if (get_bit(&b->direct[other * b->words], r)) {
				order->followers[count++] = other;
				order->waits[other]++;
			}
	}
	order->first[order->num] = count;
}

static void find_neighbours(const struct builder *b, struct region_order *order)
{
	for (uint32_t r = 0; r < order->num; r++)
		order->earliest[r] = order->latest[r] = r;
	for (uint32_t r = 0; r < order->num; r++)
		for (uint32_t other = 0; other < r; other++)
			if (!get_bit(&b->before[r * b->words], other)) {
				if (other < order->earliest[r])
					order->earliest[r] = other;
				order->latest[other] = r;
			}
}

static size_t count_direct(const struct builder *b)
{
	size_t count = 0;

	for (size_t w = 0; w < b->axm->num_regions * b->words; w++)
		count += (size_t)__builtin_popcountll(b->direct[w]);
	return count;
}

int region_order_make(const struct axm *axm, struct region_order *order)
{
	size_t num = (size_t)axm->num_regions + 1;
	struct builder b = {.axm = axm, .words = (num + 63) / 64};
	int err = -ENOMEM;

	*order = (struct region_order){.num = axm->num_regions};
	b.writer = malloc(((size_t)axm->num_values + 1) * sizeof(*b.writer));
	b.before = calloc(num * b.words, sizeof(*b.before));
	b.direct = calloc(num * b.words, sizeof(*b.direct));
	order->waits = calloc(num, sizeof(*order->waits));
	order->first = calloc(num, sizeof(*order->first));
	order->earliest = calloc(num, sizeof(*order->earliest));
	order->latest = calloc(num, sizeof(*order->latest));
	if (!b.writer || !b.before || !b.direct || !order->waits || !order->first || !order->earliest || !order->latest)
		goto out;
	memset(b.writer, 0xff, ((size_t)axm->num_values + 1) * sizeof(*b.writer)); /* AXM_NO_ID */
	find_waits(&b);
	order->followers = calloc(count_direct(&b) + 1, sizeof(*order->followers));
	if (!order->followers)
		goto out;
	find_followers(&b, order);
	find_neighbours(&b, order);
	err = 0;
out:
	free(b.writer);
	free(b.before);
	free(b.direct);
	return err;
}

void region_order_finish(struct region_order *order)
{
	free(order->waits);
	free(order->first);
	free(order->followers);
	free(order->earliest);
	free(order->latest);
	*order = (struct region_order){0};
}
