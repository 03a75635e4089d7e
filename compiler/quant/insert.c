/* SPDX-License-Identifier: MIT */
/*
 * A plan as nodes of the graph, in QDQ form.
 *
 * A value that an integer node computes keeps its name behind the DequantizeLinear, so that all readers and the graph's outputs
 * read what the bytes mean: node -> new value -> QuantizeLinear -> DequantizeLinear -> value. A value of a float node keeps its
 * float form; the integer nodes among its readers read a new value behind the pair.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/quant/plan.h"

#define OPSET 13

struct insertion {
	const struct quant_plan *plan;
	struct graph *graph;
	struct graph_value **floats; /* by value id: what integer nodes read */
	bool failed;
};

static struct graph_value *constant(struct insertion *in, enum dtype type, int rank, int64_t count, const void *data)
{
	struct tensor tensor;
	struct graph_value *value = NULL;

	if (!tensor_init(&tensor, type, rank, &count)) {
		if (data)
			memcpy(tensor.data, data, tensor_bytes(&tensor));
		value = graph_add_constant(in->graph, NULL, &tensor);
	}
	in->failed |= !value;
	return value;
}

static struct graph_node *add_node(struct insertion *in, struct graph_node *before, const char *op_type,
				   size_t num_inputs, struct graph_value *const *inputs, struct graph_value *output)
{
	struct graph_node *node = NULL;

	if (output)
		node = graph_add_node(in->graph, before, "", op_type, OPSET, output->name, num_inputs, inputs, 1,
				      &output);
	in->failed |= !node;
	if (node)
		node->origin = output->name;
	return node;
}

static struct graph_value *like(struct insertion *in, const struct graph_value *value, enum dtype type)
{
	struct graph_value *made = graph_add_value(in->graph, NULL, type, value->rank, value->dims);

	in->failed |= !made;
	return made;
}

/* ---- activations ---- */

static void add_pair(struct insertion *in, struct graph_node *before, struct graph_value *from,
		     const struct quant_value *grid, struct graph_value *to)
{
	bool is_signed = in->plan->options->is_signed;
	uint8_t zero = (uint8_t)grid->zero;
	struct graph_value *scale = constant(in, DTYPE_F32, 0, 0, &grid->scale);
	struct graph_value *zero_point = constant(in, is_signed ? DTYPE_S8 : DTYPE_U8, 0, 0, &zero);
	struct graph_value *q = like(in, from, is_signed ? DTYPE_S8 : DTYPE_U8);

	if (in->failed)
		return;
	add_node(in, before, "QuantizeLinear", 3, (struct graph_value *[]){from, scale, zero_point}, q);
	add_node(in, before, "DequantizeLinear", 3, (struct graph_value *[]){q, scale, zero_point}, to);
}

/* The order of nodes is that in which they run, as far as it is free: a pair stands where it is needed first. */
static struct graph_node *first_reader(const struct graph_value *value)
{
	struct graph_node *first = NULL;

	for (size_t i = 0; i < value->num_uses; i++)
		if (!first || value->uses[i]->id < first->id)
			first = value->uses[i];
	return first;
}

static void insert_value(struct insertion *in, struct graph_value *value)
{
	const struct quant_value *grid = &in->plan->values[value->id];
	struct graph_node *producer = value->producer, *before = first_reader(value);
	struct graph_value *other;

	if (!grid->used)
		return;
	other = like(in, value, DTYPE_F32);
	if (!other)
		return;
	if (!grid->integer) {
		in->floats[value->id] = other;
		add_pair(in, before, value, grid, other);
		return;
	}
	in->floats[value->id] = value;
	for (size_t i = 0; i < producer->num_outputs; i++)
		if (producer->outputs[i] == value)
			producer->outputs[i] = other;
	other->producer = producer;
	value->producer = NULL;
	add_pair(in, before, other, grid, value);
}

/* ---- weights ---- */

/* Numbers @q with a scale for each channel along @axis (or one for all) as floats. */
static struct graph_value *dequantized(struct insertion *in, struct graph_node *before, struct graph_value *q,
				       int64_t channels, int axis, const float *scales, bool zeros)
{
	int rank = channels > 1;
	struct graph_value *inputs[3] = {q, constant(in, DTYPE_F32, rank, channels, scales),
					 zeros ? constant(in, DTYPE_S8, rank, channels, NULL) : NULL};
	struct graph_value *out = graph_add_value(in->graph, NULL, DTYPE_F32, q->rank, q->dims);
	struct graph_node *node = add_node(in, before, "DequantizeLinear", zeros ? 3 : 2, inputs, out);

	if (node && rank)
		in->failed |= graph_node_set_int(in->graph, node, "axis", axis) != 0;
	return out;
}

static void insert_weights(struct insertion *in, struct graph_node *node, const struct quant_weights *weights)
{
	struct tensor copy = {0};
	struct graph_value *q = tensor_copy(&copy, &weights->q) ? NULL : graph_add_constant(in->graph, NULL, &copy);
	struct graph_value *w;
	float *sums;

	if (!q) {
		in->failed = true;
		return;
	}
	w = dequantized(in, node, q, weights->channels, weights->axis, weights->scales, true);
	in->failed |= !w || graph_set_input(node, 1, w);
	if (!weights->bias || in->failed)
		return;
	sums = malloc((size_t)weights->channels * sizeof(*sums));
	if (!sums) {
		in->failed = true;
		return;
	}
	for (int64_t c = 0; c < weights->channels; c++)
		sums[c] = weights->x_scale * weights->scales[c];
	q = constant(in, DTYPE_S32, 1, weights->channels, weights->bias);
	if (q) {
		struct graph_value *bias = dequantized(in, node, q, weights->channels, 0, sums, false);

		in->failed |= !bias || graph_set_input(node, 2, bias);
	}
	free(sums);
	if (!strcmp(node->op_type, "Gemm")) /* it is in the bias */
		in->failed |= graph_node_set_float(in->graph, node, "beta", 1) != 0;
}

/* ---- the whole ---- */

static void insert_node(struct insertion *in, struct graph_node *node, const struct quant_node *own)
{
	for (size_t i = 0; i < node->num_inputs && !in->failed; i++) {
		struct graph_value *value = node->inputs[i];

		if (value && (size_t)value->id < in->plan->num_values && in->floats[value->id] &&
		    quant_reads_bytes(own->kind, i))
			in->failed |= graph_set_input(node, i, in->floats[value->id]) != 0;
	}
	if (own->weights.q.data && !in->failed)
		insert_weights(in, node, &own->weights);
}

int quant_insert(const struct quant_plan *plan)
{
	struct insertion in = {.plan = plan, .graph = plan->graph};
	struct graph_node **nodes = malloc((plan->num_nodes + 1) * sizeof(*nodes));

	in.floats = calloc(plan->num_values + 1, sizeof(*in.floats));
	in.failed = !nodes || !in.floats;
	for (size_t n = 0; n < plan->num_nodes && !in.failed; n++)
		nodes[n] = plan->graph->nodes[n];
	for (size_t i = 0; i < plan->num_values && !in.failed; i++)
		insert_value(&in, plan->graph->values[i]);
	for (size_t n = 0; n < plan->num_nodes && !in.failed; n++)
		if (plan->nodes[n].integer)
			insert_node(&in, nodes[n], &plan->nodes[n]);
	free(nodes);
	free(in.floats);
	return in.failed ? -ENOMEM : graph_sort(plan->graph);
}
