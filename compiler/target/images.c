/* SPDX-License-Identifier: MIT */
/* See images.h. */
#include "compiler/target/images.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/target/cut.h"
#include "compiler/target/lower_shuffle.h"
#include "compiler/target/place.h"

/* @border: the run shares it with other nodes; @whole: its tensor then, of all images */
struct images_value {
	struct graph_value *value;
	bool border;
	struct dev_tensor whole;
};

/* ---- finding ---- */

/* Operators that work on each image by itself, whatever the attributes. */
static bool is_by_image(const struct graph_node *node)
{
	static const char *const names[] = {"Conv",           "FusedConv", "QLinearConv", "MaxPool", "QLinearAdd",
					    "QuantizeLinear", "Add",       "Relu",        "Concat"};

	return GRAPH_NODE_IS(node, names) &&
	       (strcmp(node->op_type, "Concat") || (node->outputs[0]->rank == 4 && place_axis(node) > 0));
}

/* Images of the batch, where that is what @value is: else 0. */
static int64_t batch_of(const struct graph_value *value)
{
	return graph_value_is_static(value) && value->rank == 4 ? value->dims[0] : 0;
}

/*
 * A weight is used once for each position of the output: with enough of them the array takes twice as long as the memory.
 * (Wider types take longer in both.)
 */
static bool has_positions(const struct lower *lower, const struct graph_node *node)
{
	const struct graph_value *y = node->outputs[0];
	int64_t macs = (int64_t)AXL_ARRAY_K * AXL_ARRAY_N * lower->target->tiles;

	return y->dims[2] * y->dims[3] * (int64_t)lower->target->dram_rate >= 2 * macs;
}

static bool fits_run(const struct lower *lower, const struct graph_node *node, int64_t *batch)
{
	struct shuffle shuffle;

	if (!node->num_outputs || !node->outputs[0] || !is_by_image(node))
		return false;
	*batch = batch_of(node->outputs[0]);
	if (*batch < 2 || !has_positions(lower, node))
		return false;
	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct graph_value *value = node->inputs[i];

		if (value && !value->constant && batch_of(value) != *batch)
			return false;
		if (value && !value->constant && lower_shuffle_reads(lower, node, (int)i, &shuffle))
			return false; /* its tensor is not that of its input */
	}
	return true;
}

bool images_find(struct lower *lower, size_t first, size_t count)
{
	uint32_t number = 0;
	size_t length;

	memset(lower->runs, 0, lower->graph->num_nodes * sizeof(*lower->runs));
	for (size_t n = first; n < first + count; n += length ? length : 1) {
		int64_t batch, other;

		length = 0;
		if (fits_run(lower, lower->graph->nodes[n], &batch))
			for (length = 1; n + length < first + count; length++)
				if (!fits_run(lower, lower->graph->nodes[n + length], &other) || other != batch)
					break;
		if (length < 2)
			continue;
		number++;
		for (size_t i = 0; i < length; i++)
			lower->runs[n + i] = number;
	}
	return number > 0;
}

bool images_together(const struct lower *lower, const struct graph_node *producer, const struct graph_node *reader)
{
	return producer->region == reader->region && lower->runs[producer->id] == lower->runs[reader->id];
}

/* ---- a run ---- */

static bool is_inside(const struct lower *lower, const struct images *images, const struct graph_node *node)
{
	return node && images_together(lower, lower->graph->nodes[images->first], node);
}

/* Does any node outside of the run read it? */
static bool leaves(const struct lower *lower, const struct images *images, const struct graph_value *value)
{
	bool leaves = value->is_output;

	for (size_t i = 0; i < value->num_uses; i++)
		leaves |= !is_inside(lower, images, value->uses[i]);
	return leaves;
}

static int add_value(struct lower *lower, struct images *images, struct graph_value *value)
{
	static const int order[] = {0, 2, 3, 1};
	struct images_value *entry = &images->values[images->num_values];
	const struct dev_tensor *tensor;
	bool comes = !is_inside(lower, images, value->producer);

	for (size_t i = 0; i < images->num_values; i++)
		if (images->values[i].value == value)
			return 0;
	*entry = (struct images_value){.value = value, .border = comes || leaves(lower, images, value)};
	if (entry->border) {
		tensor = comes ? lower_tensor(lower, value) : lower_output(lower, value, order);
		if (!tensor)
			return lower_fail(lower, NULL, -ENOMEM, "out of memory for tensors");
		entry->whole = *tensor;
	}
	images->num_values++;
	return 0;
}

int images_begin(struct lower *lower, size_t first, struct images *images)
{
	const struct graph *graph = lower->graph;
	size_t most = 0;
	int err = 0;

	*images = (struct images){.first = first, .last = first, .batch = graph->nodes[first]->outputs[0]->dims[0]};
	while (images->last + 1 < graph->num_nodes && lower->runs[images->last + 1] == lower->runs[first])
		images->last++;
	for (size_t n = first; n <= images->last; n++)
		most += graph->nodes[n]->num_inputs + graph->nodes[n]->num_outputs;
	images->values = calloc(most, sizeof(*images->values));
	if (!images->values)
		return lower_fail(lower, NULL, -ENOMEM, "out of memory");
	for (size_t n = first; n <= images->last && !err; n++) {
		const struct graph_node *node = graph->nodes[n];

		for (size_t i = 0; i < node->num_inputs && !err; i++)
			if (node->inputs[i] && !node->inputs[i]->constant)
				err = add_value(lower, images, node->inputs[i]);
		for (size_t i = 0; i < node->num_outputs && !err; i++)
			if (node->outputs[i])
				err = add_value(lower, images, node->outputs[i]);
	}
	for (size_t i = 0; i < images->num_values; i++)
		images->values[i].value->dims[0] = 1;
	for (size_t n = first; n <= images->last; n++)
		lower->estimates[n] /= (uint64_t)images->batch;
	return err;
}

void images_select(struct lower *lower, const struct images *images, int64_t image)
{
	for (size_t n = images->first; n <= images->last; n++)
		lower->graph->nodes[n]->data = 0;
	for (size_t i = 0; i < images->num_values; i++) {
		const struct images_value *entry = &images->values[i];
		struct dev_tensor *tensor = &lower->tensors[entry->value->id];

		lower->cuts[entry->value->id].tiles = 0;
		*tensor = entry->whole;
		tensor->dims[0] = 1;
		tensor->place.offset += (uint64_t)(image * tensor->stride[0]);
		if (!entry->border)
			tensor->rank = -1;
	}
}

void images_end(struct lower *lower, struct images *images)
{
	for (size_t i = 0; i < images->num_values; i++) {
		const struct images_value *entry = &images->values[i];

		entry->value->dims[0] = images->batch;
		lower->cuts[entry->value->id].tiles = 0;
		lower->tensors[entry->value->id] = entry->whole;
		if (!entry->border)
			lower->tensors[entry->value->id].rank = -1;
	}
	free(images->values);
	images->values = NULL;
	images->num_values = 0;
}
