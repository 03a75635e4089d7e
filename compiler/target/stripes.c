/* SPDX-License-Identifier: MIT */
/* See stripes.h. */
#include "compiler/target/stripes.h"

#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/arith.h"
#include "compiler/target/cut.h"
#include "compiler/target/lower_matrix.h"

enum { IMAGE_N, IMAGE_C, IMAGE_H, IMAGE_W };

#define MIN_ROWS 8         /* of the output in a stripe */
#define MOST_AGAIN 70      /* one in so many cycles may be spent on rows that another stripe has computed, too */
#define STRETCH_PERCENT 90 /* of what may lie between two preemption points is for a stripe */

/* A convolution's kernel along the rows: of output row r it reads rows [r * step - pad, r * step - pad + span). */
struct window {
	int64_t step, span, pad;
};

static int64_t int_at(const struct op_node *op, const char *name, size_t index, int64_t missing)
{
	const int64_t *values;

	return index < op_attr_ints(op, name, &values) ? values[index] : missing;
}

/* False: not a convolution of images with padding that is written down. */
static bool read_window(const struct graph_node *node, struct window *window)
{
	static const char *const names[] = {"Conv", "FusedConv", "QLinearConv"};
	struct op_node op = graph_op_node(node);
	const struct graph_value *w;

	if (!GRAPH_NODE_IS(node, names) || !op_attr_is(&op, "auto_pad", "NOTSET", "NOTSET"))
		return false;
	w = node->inputs[strcmp(node->op_type, "QLinearConv") ? 1 : 3];
	if (!w->constant || w->rank != 4)
		return false;
	window->step = int_at(&op, "strides", 0, 1);
	window->span = (w->dims[2] - 1) * int_at(&op, "dilations", 0, 1) + 1;
	window->pad = int_at(&op, "pads", 0, 0);
	return true;
}

/* The pool that convolution @node does, or NULL. */
static const struct graph_node *pool_of(const struct lower *lower, const struct graph_node *node)
{
	const struct graph_value *y = node->outputs[0];
	const struct graph_node *next = y->num_uses == 1 ? y->uses[0] : NULL;

	return next && !strcmp(next->op_type, "MaxPool") && lower_conv_does(lower, next) ? next : NULL;
}

static bool is_image(const struct graph_value *value)
{
	return value && !value->constant && graph_value_is_static(value) && value->rank == 4 &&
	       value->dims[IMAGE_N] == 1;
}

/* Only the next node reads it. */
static bool goes_on(const struct graph_node *node, const struct graph_node *next)
{
	const struct graph_value *y = node->outputs[0];

	return is_image(y) && !y->is_output && y->num_uses == 1 && y->uses[0] == next && next->id == node->id + 1 &&
	       next->inputs[0] == y && node->region == next->region;
}

/* No further input that is no constant, as a residual is. */
static bool reads_one(const struct graph_node *node)
{
	for (size_t i = 1; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			return false;
	return true;
}

/* Of other readers, an addition would want its other operand in stripes, and the vector unit to work beside the matrix unit. */
static bool goes_to_convolutions(const struct graph_value *out)
{
	struct window window;

	for (size_t i = 0; i < out->num_uses; i++)
		if (!read_window(out->uses[i], &window))
			return false;
	return true;
}

static uint64_t weight_bytes(const struct lower *lower, const struct graph_node *node)
{
	uint64_t bytes = 0;

	for (size_t i = 1; i < node->num_inputs; i++)
		if (node->inputs[i])
			bytes += (uint64_t)tensor_count(node->inputs[i]->constant) *
				 access_type_bytes(lower_type(lower, node->inputs[i]->dtype));
	return bytes;
}

/* How many stripes the pair that begins with number @n takes, or 0: none. *@length: nodes with the pool. */
static int64_t count_stripes(const struct lower *lower, size_t n, size_t end, size_t *length)
{
	const struct graph_node *first = lower->graph->nodes[n], *second, *pool;
	const struct graph_value *between, *out;
	struct window window, other;
	uint64_t bytes, cycles, budget = lower->resident.budget, most = lower->resident.most / 100 * STRETCH_PERCENT;
	uint64_t count, twice;

	if (n + 1 >= end || !budget || !read_window(first, &other) || !is_image(first->inputs[0]) || !reads_one(first))
		return 0;
	second = lower->graph->nodes[n + 1];
	if (!read_window(second, &window) || !goes_on(first, second) || !reads_one(second))
		return 0;
	pool = pool_of(lower, second);
	if (pool && (n + 2 >= end || !goes_on(second, pool)))
		return 0;
	*length = pool ? 3 : 2;
	out = (pool ? pool : second)->outputs[0];
	if (!is_image(out) || !goes_to_convolutions(out))
		return 0;
	between = first->outputs[0];
	bytes = (uint64_t)dims_count(4, between->dims) * access_type_bytes(lower_type(lower, between->dtype));
	cycles = lower->estimates[n] + lower->estimates[n + 1];
	if (bytes / lower->target->tiles <= budget / 2 * 3 && cycles <= lower->resident.most)
		return 0; /* it stays as it is */
	count = ceil_div_u64(bytes / lower->target->tiles, budget);
	count = ceil_div_u64(cycles, most) > count ? ceil_div_u64(cycles, most) : count;
	twice = window.span > window.step ? (uint64_t)(window.span - window.step) : 0;
	if (count * MIN_ROWS > (uint64_t)out->dims[IMAGE_H] ||
	    lower->estimates[n] * twice * (count - 1) / (uint64_t)between->dims[IMAGE_H] > cycles / MOST_AGAIN ||
	    (count - 1) * (weight_bytes(lower, first) + weight_bytes(lower, second)) >= 2 * bytes)
		return 0; /* it would be stored and loaded */
	return (int64_t)count;
}

void stripes_find(struct lower *lower, size_t first, size_t count)
{
	uint32_t number = 0;
	size_t length;

	for (size_t n = first; n < first + count; n += length) {
		int64_t stripes;

		length = 1;
		stripes = count_stripes(lower, n, first + count, &length);
		lower->stripes[n] = stripes;
		length = stripes ? length : 1;
		number += stripes > 0;
		for (size_t i = 0; i < length && stripes; i++)
			lower->runs[n + i] = number;
	}
}

static int add_value(struct lower *lower, struct stripes_value *entry, struct graph_value *value, bool comes,
		     bool leaves)
{
	static const int order[] = {0, 2, 3, 1};
	const struct dev_tensor *tensor;

	*entry = (struct stripes_value){.value = value, .rows = value->dims[IMAGE_H], .border = comes || leaves};
	if (!entry->border)
		return 0;
	tensor = comes ? lower_tensor(lower, value) : lower_output(lower, value, order);
	if (!tensor)
		return lower_fail(lower, NULL, -ENOMEM, "out of memory for tensors");
	entry->whole = *tensor;
	return 0;
}

int stripes_begin(struct lower *lower, size_t first, struct stripes *stripes)
{
	struct graph_node *const *nodes = lower->graph->nodes + first;
	int err;

	*stripes = (struct stripes){.first = first, .count = lower->stripes[first]};
	while (first + stripes->num_nodes < lower->graph->num_nodes &&
	       lower->runs[first + stripes->num_nodes] == lower->runs[first])
		stripes->num_nodes++;
	err = add_value(lower, &stripes->values[0], nodes[0]->inputs[0], true, false);
	for (size_t i = 0; i < stripes->num_nodes && !err; i++) {
		err = add_value(lower, &stripes->values[i + 1], nodes[i]->outputs[0], false,
				i + 1 == stripes->num_nodes);
		lower->estimates[first + i] /= (uint64_t)stripes->count;
	}
	return err;
}

/* The rows [*@lo, *@hi) of its input that rows [*@lo, *@hi) of @node's output read. */
static void rows_before(const struct graph_node *node, int64_t rows, int64_t out_rows, int64_t *lo, int64_t *hi)
{
	struct window window;
	int64_t first = *lo, last = *hi;

	if (read_window(node, &window)) {
		cut_window(first, last, window.step, window.span, window.pad, rows, lo, hi);
		return;
	}
	*lo = first * (rows / out_rows); /* a pool with its windows side by side */
	*hi = last * (rows / out_rows);
}

void stripes_select(struct lower *lower, struct stripes *stripes, int64_t stripe)
{
	int64_t rows = stripes->values[stripes->num_nodes].rows, lo = rows * stripe / stripes->count,
		hi = rows * (stripe + 1) / stripes->count;

	for (size_t i = stripes->num_nodes + 1; i-- > 0;) {
		struct stripes_value *entry = &stripes->values[i];
		struct dev_tensor *tensor = &lower->tensors[entry->value->id];

		if (i < stripes->num_nodes) {
			rows_before(lower->graph->nodes[stripes->first + i], entry->rows, stripes->values[i + 1].rows,
				    &lo, &hi);
			lower->graph->nodes[stripes->first + i]->data = 0;
		}
		entry->value->dims[IMAGE_H] = hi - lo;
		lower->first_row[entry->value->id] = lo;
		lower->cuts[entry->value->id].tiles = 0;
		*tensor = entry->whole;
		tensor->dims[IMAGE_H] = hi - lo;
		tensor->place.offset += (uint64_t)(lo * tensor->stride[IMAGE_H]);
		if (!entry->border)
			tensor->rank = -1;
	}
}

void stripes_end(struct lower *lower, struct stripes *stripes)
{
	for (size_t i = 0; i <= stripes->num_nodes; i++) {
		struct stripes_value *entry = &stripes->values[i];

		if (!entry->value)
			continue;
		entry->value->dims[IMAGE_H] = entry->rows;
		lower->first_row[entry->value->id] = 0;
		lower->cuts[entry->value->id].tiles = 0;
		lower->tensors[entry->value->id] = entry->whole;
		if (!entry->border)
			lower->tensors[entry->value->id].rank = -1;
	}
}
