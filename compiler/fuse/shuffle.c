/* SPDX-License-Identifier: MIT */
/*
 * A channel shuffle in front of a depthwise convolution moves behind it: the convolution takes the channels as they come, with
 * its weights in their order. There the convolution that reads the shuffled image can take it apart as it reads
 * (target/lower_shuffle.c), which a depthwise one can not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/fuse/fuse.h"
#include "compiler/fuse/pattern.h"
#include "compiler/graph/shuffle.h"

/* Inputs with a row a channel (or one for all), by operator; -1 ends the list. */
static const struct {
	const char *op_type;
	int input[5];
} forms[] = {
	{"Conv", {1, 2, -1}},
	{"FusedConv", {1, 2, -1}},
	{"QLinearConv", {3, 4, 5, 8, -1}},
};

/* @tensor's rows in the order in which the channels come before the shuffle. */
static int unshuffle_rows(const struct tensor *tensor, int64_t channels, int64_t groups, struct tensor *out)
{
	int64_t inner = channels / groups;
	size_t row = tensor_bytes(tensor) / (size_t)channels;
	int err = tensor_copy(out, tensor);

	for (int64_t c = 0; c < channels && !err; c++) {
		int64_t shuffled = c % inner * groups + c / inner;

		memcpy((uint8_t *)out->data + (size_t)c * row, (const uint8_t *)tensor->data + (size_t)shuffled * row,
		       row);
	}
	return err;
}

static const int *row_inputs(const struct graph_node *node)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (is_op(node, forms[i].op_type))
			return forms[i].input;
	return NULL;
}

/* A depthwise convolution whose parameters can be put in another order. */
static bool is_depthwise(const struct graph_node *node, int64_t channels)
{
	const int *rows = node ? row_inputs(node) : NULL;
	struct op_node op;

	if (!rows || !graph_value_is_static(node->outputs[0]) || node->outputs[0]->rank != 4 ||
	    node->outputs[0]->dims[1] != channels || (is_op(node, "FusedConv") && node->num_inputs > 3))
		return false;
	op = graph_op_node(node);
	if (op_attr_int(&op, "group", 1) != channels)
		return false;
	for (; *rows >= 0; rows++) {
		const struct graph_value *value = (size_t)*rows < node->num_inputs ? node->inputs[*rows] : NULL;

		if (value && (!value->constant ||
			      (tensor_count(value->constant) != 1 && tensor_count(value->constant) % channels)))
			return false;
	}
	return true;
}

static int reorder_inputs(struct graph *graph, struct graph_node *conv, int64_t channels, int64_t groups)
{
	for (const int *rows = row_inputs(conv); *rows >= 0; rows++) {
		struct graph_value *value = (size_t)*rows < conv->num_inputs ? conv->inputs[*rows] : NULL, *changed;
		struct tensor tensor = {0};

		if (!value || tensor_count(value->constant) == 1)
			continue;
		if (unshuffle_rows(value->constant, channels, groups, &tensor))
			return -ENOMEM;
		changed = graph_add_constant(graph, value->name, &tensor);
		if (!changed || graph_set_input(conv, (size_t)*rows, changed))
			return -ENOMEM;
	}
	return 0;
}

/* Let @reshape make @dims. */
static int reshape_to(struct graph *graph, struct graph_node *reshape, int rank, const int64_t *dims)
{
	struct tensor shape = {0};
	int64_t count = rank;
	struct graph_value *value;

	if (tensor_init(&shape, DTYPE_S64, 1, &count))
		return -ENOMEM;
	memcpy(shape.data, dims, (size_t)rank * sizeof(*dims));
	value = graph_add_constant(graph, reshape->inputs[1]->name, &shape);
	return value ? graph_set_input(reshape, 1, value) : -ENOMEM;
}

/* An image of the shuffle has @y's size and type now. */
static void resize(struct graph_value *value, const struct graph_value *y)
{
	value->dtype = y->dtype;
	value->dims[value->rank - 2] = y->dims[2];
	value->dims[value->rank - 1] = y->dims[3];
}

static int move_behind(struct graph *graph, struct shuffle *shuffle, struct graph_node *conv)
{
	struct graph_value *shuffled = shuffle->merge->outputs[0], *y = conv->outputs[0];
	int64_t channels = y->dims[1];
	int err = reorder_inputs(graph, conv, channels, shuffle->groups);

	if (!err)
		err = graph_set_input(conv, 0, shuffle->split->inputs[0]);
	if (!err)
		err = graph_set_input(shuffle->split, 0, shuffled);
	if (err)
		return err;
	/* The value between is that behind the convolution now. */
	conv->outputs[0] = shuffled;
	shuffled->producer = conv;
	shuffle->merge->outputs[0] = y;
	y->producer = shuffle->merge;
	resize(shuffled, y);
	resize(shuffle->split->outputs[0], y);
	resize(shuffle->swap->outputs[0], y);
	err = reshape_to(graph, shuffle->split, 5, shuffle->split->outputs[0]->dims);
	return err ? err : reshape_to(graph, shuffle->merge, 4, y->dims);
}

int fuse_shuffle(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *conv = graph->nodes[n];
		struct shuffle shuffle;

		if (!row_inputs(conv) || only_reader(conv->inputs[0]) != conv ||
		    !shuffle_find(conv->inputs[0], &shuffle) || !is_depthwise(conv, conv->inputs[0]->dims[1]))
			continue;
		if (move_behind(graph, &shuffle, conv) || graph_sort(graph))
			return -ENOMEM;
	}
	return 0;
}
