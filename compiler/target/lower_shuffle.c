/* SPDX-License-Identifier: MIT */
/* See lower_shuffle.h. */
#include "compiler/target/lower_shuffle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>

#define KERNEL_MAX 255
#define SIDE_MAX 65535

/* By attributes and shapes: a convolution of one tap without padding, not a depthwise one. */
static bool takes(const struct graph_node *conv, const struct graph_value *x, const struct shuffle *shuffle)
{
	static const char *const names[] = {"Conv", "FusedConv", "QLinearConv", "ConvInteger"};
	const struct graph_value *y = conv->outputs[0];
	struct op_node op = graph_op_node(conv);
	int64_t groups = op_attr_int(&op, "group", 1);
	size_t quantized = !strcmp(conv->op_type, "QLinearConv") ? 3 : 1;
	const struct tensor *w;
	const int64_t *values;

	if (!GRAPH_NODE_IS(conv, names) || conv->inputs[0] != x || x->num_uses != 1 || x->is_output ||
	    conv->region != shuffle->split->region || x->producer->region != conv->region ||
	    !graph_value_is_static(y) || !conv->inputs[quantized]->constant)
		return false;
	w = conv->inputs[quantized]->constant;
	for (size_t i = 0, count = op_attr_ints(&op, "pads", &values); i < count; i++)
		if (values[i])
			return false;
	for (size_t i = 0, count = op_attr_ints(&op, "strides", &values); i < count; i++)
		if (values[i] * shuffle->groups > KERNEL_MAX)
			return false;
	return w->rank == 4 && w->dims[2] == 1 && w->dims[3] == 1 && w->dims[1] > 1 &&
	       groups * w->dims[1] == x->dims[1] && shuffle->groups <= KERNEL_MAX &&
	       x->dims[3] * shuffle->groups <= SIDE_MAX;
}

const struct graph_node *lower_shuffle_reader(const struct lower *lower, const struct graph_node *node)
{
	struct shuffle shuffle;
	const struct graph_value *x;

	if (!pass_runs(lower->disabled, PASS_SHUFFLE) || strcmp(node->op_type, "Reshape") ||
	    !shuffle_begins(node, &shuffle))
		return NULL;
	x = shuffle.merge->outputs[0];
	return x->num_uses == 1 && takes(x->uses[0], x, &shuffle) ? x->uses[0] : NULL;
}

bool lower_shuffle_reads(const struct lower *lower, const struct graph_node *conv, int index, struct shuffle *shuffle)
{
	const struct graph_value *x = conv->inputs[index];
	const struct dev_tensor *source;
	int64_t size;

	if (index != 0 || !pass_runs(lower->disabled, PASS_SHUFFLE) || !shuffle_find(x, shuffle) ||
	    !takes(conv, x, shuffle))
		return false;
	/* The pixel is one run of bytes: then its parts are pixels of an image that is as many times as wide. */
	source = &lower->tensors[shuffle->split->inputs[0]->id];
	size = source->rank == 4 ? (int64_t)access_type_bytes(source->type) : 0;
	return size && source->stride[1] == size && source->stride[3] == x->dims[1] * size;
}

bool lower_shuffle_left(const struct lower *lower, const struct graph_node *merge)
{
	const struct graph_value *x = merge->outputs[0];
	struct shuffle shuffle;

	return x->num_uses == 1 && x->uses[0]->num_inputs && x->uses[0]->inputs[0] == x &&
	       lower_shuffle_reads(lower, x->uses[0], 0, &shuffle);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

int lower_shuffle_apply(struct matrix_work *work, const struct shuffle *shuffle, int zero, void **weights)
{
	size_t ways = (size_t)shuffle->groups, channels = (size_t)(work->ic * work->groups) / ways;
	size_t ic = (size_t)work->ic, size = dtype_size(work->weight.dtype), width = 0, outputs = (size_t)work->oc;
	size_t per_group = outputs / (size_t)work->groups;
	uint8_t *packed;

	/* Of each run a group reads from its first channel to its last, and as many for all groups. */
	for (size_t first = 0; first < channels * ways; first += ic) {
		size_t span = (first + ic - 1) / ways - first / ways + 1;

		width = span > width ? span : width;
	}
	packed = malloc(outputs * width * ways * size);
	work->group_channel = calloc((size_t)work->groups, sizeof(*work->group_channel));
	*weights = packed;
	if (!packed || !work->group_channel)
		return -ENOMEM;
	memset(packed, zero, outputs * width * ways * size); /* floats have none: all bytes 0 */
	for (size_t oc = 0; oc < outputs; oc++) {
		size_t first = oc / per_group * ic, from = least(first / ways, channels - width);

		work->group_channel[oc / per_group] = (int64_t)from;
		for (size_t i = 0; i < ic; i++) {
			size_t channel = (first + i) / ways - from, way = (first + i) % ways;

			memcpy(packed + ((oc * width + channel) * ways + way) * size,
			       (const uint8_t *)work->weight.data + (oc * ic + i) * size, size);
		}
	}
	work->weight.data = packed;
	work->weight.so = (int64_t)(width * ways);
	work->weight.sc = (int64_t)ways;
	work->weight.sx = 1;
	work->ic = (int64_t)width;
	work->kw = (int64_t)ways;
	work->sw *= (int64_t)ways;
	work->iw *= (int64_t)ways;
	work->x.dims[WORK_W] *= (int64_t)ways;
	work->x.dims[WORK_C] = (int64_t)channels;
	work->x.stride[WORK_W] /= (int64_t)ways;
	return 0;
}
