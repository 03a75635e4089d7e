/* SPDX-License-Identifier: MIT */
/*
 * Cross-layer equalisation before depthwise convolutions (after Nagel and others, Data-Free Quantization Through Weight
 * Equalization and Bias Correction, 2019).
 *
 * All channels of an activation share one scale, so that one whose numbers are small has few of the 256 steps. Between a
 * convolution and a depthwise one, a Relu at most between them, channel c may be a factor larger where the weights that
 * make it are so much larger and the one filter that reads it so much smaller: both have a scale for each channel, so that
 * this costs nothing. (Where all channels are read by one filter it would: only depthwise readers are looked at.) Factors
 * are powers of two: the float network's bits stay what they were, and it can be taken back.
 */
#include <errno.h>
#include <math.h>

#include "compiler/fuse/pattern.h"
#include "compiler/quant/plan.h"

#define MOST 16 /* a channel that the samples hardly reached may be larger in other data */

/* The factor that brings a channel of size @largest to the size of the @widest, at least to half of it. */
static float factor_of(float largest, float widest)
{
	float factor = 1;

	while (largest > 0 && factor < MOST && largest * factor * 2 <= widest)
		factor *= 2;
	return factor;
}

/* A constant that only @node reads and that may be written. */
static float *own_data(struct graph *graph, struct graph_node *node, size_t index)
{
	struct graph_value *value = node->inputs[index], *own;
	struct tensor copy = {0};

	if (value->num_uses == 1 && !value->is_output && value->constant->owned)
		return value->constant->data;
	own = tensor_copy(&copy, value->constant) ? NULL : graph_add_constant(graph, value->name, &copy);
	return !own || graph_set_input(node, index, own) ? NULL : own->constant->data;
}

static bool float_conv(const struct graph_node *node)
{
	for (size_t i = 1; node && i < node->num_inputs; i++)
		if (node->inputs[i] && (!node->inputs[i]->constant || node->inputs[i]->dtype != DTYPE_F32))
			return false;
	return is_op(node, "Conv") && !*node->domain;
}

static bool depthwise(const struct graph_node *node, int64_t channels)
{
	struct op_node op = graph_op_node(node);

	return op_attr_int(&op, "group", 1) == channels && node->inputs[1]->constant->dims[1] == 1 &&
	       node->inputs[1]->constant->dims[0] % channels == 0;
}

/* Multiply what lies in each of @channels parts of @data by its factor, or its inverse. */
static void scale_channels(float *data, int64_t count, int64_t channels, const struct quant_stats *stats, float widest,
			   bool inverse)
{
	for (int64_t i = 0; i < count; i++) {
		float factor = factor_of(stats->largest[i / (count / channels)], widest);

		data[i] = inverse ? data[i] / factor : data[i] * factor;
	}
}

static int scale_input(struct graph *graph, struct graph_node *node, size_t index, const struct quant_stats *stats,
		       float widest, bool undo)
{
	float *data = own_data(graph, node, index);

	if (!data)
		return -ENOMEM;
	scale_channels(data, tensor_count(node->inputs[index]->constant), stats->channels, stats, widest, undo);
	return 0;
}

static int scale_pair(struct graph *graph, struct graph_node *first, struct graph_node *second,
		      const struct quant_stats *stats, float widest, bool undo)
{
	int err = 0;

	for (size_t i = 1; i < first->num_inputs && !err; i++)
		err = first->inputs[i] ? scale_input(graph, first, i, stats, widest, undo) : 0;
	return err ? err : scale_input(graph, second, 1, stats, widest, !undo);
}

int quant_equalize(struct graph *graph, const struct quant_stats *stats, bool undo, size_t *pairs)
{
	*pairs = 0;
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *second = graph->nodes[n], *first;
		const struct quant_stats *between;
		float widest = 0, smallest = INFINITY;
		int err;

		/* Values made since the statistics were (copies of weights) are constants: never an input 0. */
		if (!float_conv(second) || second->inputs[0]->constant || only_reader(second->inputs[0]) != second)
			continue;
		between = &stats[second->inputs[0]->id];
		if (!between->channels || !depthwise(second, between->channels))
			continue;
		first = second->inputs[0]->producer;
		if (is_op(first, "Relu") || is_op(first, "LeakyRelu"))
			first = only_reader(first->inputs[0]) ? first->inputs[0]->producer : NULL;
		if (!float_conv(first) || first->inputs[1]->constant->dims[0] != between->channels)
			continue;
		for (int64_t c = 0; c < between->channels; c++) {
			widest = between->largest[c] > widest ? between->largest[c] : widest;
			smallest = between->largest[c] < smallest ? between->largest[c] : smallest;
		}
		if (smallest * 2 > widest)
			continue;
		err = scale_pair(graph, first, second, between, widest, undo);
		if (err)
			return err;
		++*pairs;
	}
	return 0;
}
