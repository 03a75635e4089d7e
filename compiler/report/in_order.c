/* SPDX-License-Identifier: MIT */
/* See in_order.h. */
#include "compiler/report/in_order.h"

#include "compiler/report/roofline.h"

static double later(double a, double b)
{
	return a > b ? a : b;
}

/* The layers so far: how long they take, and how many bytes of later ones are there by then. */
struct progress {
	double cycles, ahead;
};

static void run_layer(struct progress *progress, struct in_order_layer layer, double rate, double window)
{
	double span = later(layer.compute, (layer.bytes - progress->ahead) / rate);
	double ahead = progress->ahead + span * rate - layer.bytes;

	progress->cycles += span;
	progress->ahead = ahead < window ? ahead : window;
}

double in_order_cycles(const struct in_order_layer *layers, size_t count, double rate, double window)
{
	struct progress progress = {0, 0};

	for (size_t i = 0; i < count; i++)
		run_layer(&progress, layers[i], rate, window);
	return progress.cycles;
}

/* Bytes of @node's compulsory ones that leave the region. */
static uint64_t leaving_bytes(const struct axm *axm, const struct axm_node *node)
{
	const struct axm_region *region = &axm->regions[node->region];
	const uint32_t *outputs = axm->ids + region->outputs_first, *mine = axm->ids + node->outputs_first;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < region->num_outputs; i++)
		for (uint32_t k = 0; k < node->num_outputs; k++)
			if (outputs[i] == mine[k])
				bytes += axm_value_bytes(&axm->values[outputs[i]]);
	return bytes < node->bytes ? bytes : node->bytes;
}

static double of_region(const struct axm *axm, const struct axm_region *region, enum roofline_bound unit)
{
	double window = (double)axm->model->spad_bytes * axm->model->tiles;
	struct progress progress = {0, 0};
	struct roofline node;

	for (uint32_t n = region->first_node; n < region->first_node + region->num_nodes; n++) {
		roofline_of_node(axm, n, &node);
		run_layer(&progress,
			  (struct in_order_layer){node.cycles[unit],
						  (double)(node.bytes - leaving_bytes(axm, &axm->nodes[n]))},
			  axm->model->dram_rate, window);
	}
	return progress.cycles;
}

double in_order_of_package(const struct axm *axm)
{
	struct roofline total;
	double cycles = 0;

	for (uint32_t r = 0; r < axm->num_regions; r++)
		if (axm->regions[r].device)
			cycles += later(of_region(axm, &axm->regions[r], ROOFLINE_MATRIX),
					of_region(axm, &axm->regions[r], ROOFLINE_VECTOR));
	roofline_of_package(axm, &total);
	return later(cycles, roofline_cycles(&total, NULL));
}
