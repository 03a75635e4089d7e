/* SPDX-License-Identifier: MIT */
/* See pattern.h. */
#include "compiler/fuse/pattern.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_INPUTS 16

bool is_op(const struct graph_node *node, const char *op_type)
{
	return node && !strcmp(node->op_type, op_type);
}

struct graph_node *only_reader(const struct graph_value *value)
{
	return value->num_uses == 1 && !value->is_output ? value->uses[0] : NULL;
}

bool same_shape(const struct graph_value *a, const struct graph_value *b)
{
	return graph_value_is_static(a) && a->rank == b->rank && a->dtype == b->dtype &&
	       !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0]));
}

bool before(const struct graph_value *value, const struct graph_node *node)
{
	return !value->producer || value->producer->id < node->id;
}

void join_origins(struct graph *graph, struct graph_node *into, const struct graph_node *from)
{
	char text[512];
	const char *joined;

	snprintf(text, sizeof(text), "%.250s, %.250s", into->origin, from->origin);
	joined = graph_intern(graph, text);
	if (joined)
		into->origin = joined;
}

int take_output(struct graph *graph, struct graph_node *node, struct graph_node *last)
{
	struct graph_value *from = node->outputs[0], *to = last->outputs[0];

	for (size_t i = 0; i < last->num_inputs; i++)
		if (last->inputs[i] == from) {
			int err = graph_set_input(last, i, NULL);

			if (err)
				return err;
		}
	last->num_outputs = 0;
	node->outputs[0] = to;
	to->producer = node;
	from->producer = NULL;
	join_origins(graph, node, last);
	return graph_remove_node(graph, last);
}

/* Remove @node when nobody reads what it makes, and then what only it read. */
static int drop_unread(struct graph *graph, struct graph_node *node)
{
	struct graph_node *producers[MAX_INPUTS];
	size_t count = 0;
	int err;

	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] && (node->outputs[i]->num_uses || node->outputs[i]->is_output))
			return 0;
	for (size_t i = 0; i < node->num_inputs && count < MAX_INPUTS; i++) {
		struct graph_node *producer = node->inputs[i] ? node->inputs[i]->producer : NULL;
		bool again = false;

		for (size_t k = 0; k < count; k++)
			again |= producers[k] == producer;
		if (producer && !again)
			producers[count++] = producer;
	}
	err = graph_remove_node(graph, node);
	for (size_t k = 0; k < count && !err; k++)
		err = drop_unread(graph, producers[k]);
	return err;
}

struct graph_node *replace_with(struct graph *graph, struct graph_node *last, const char *domain, const char *op_type,
				int opset, size_t num_inputs, struct graph_value *const *inputs, size_t num_origins,
				struct graph_node *const *origins)
{
	struct graph_node *node =
		graph_add_node(graph, last, domain, op_type, opset, last->name, num_inputs, inputs, 1, last->outputs);

	if (!node)
		return NULL;
	for (size_t i = 0; i < num_origins; i++) {
		if (i)
			join_origins(graph, node, origins[i]);
		else
			node->origin = origins[i]->origin;
	}
	last->num_outputs = 0;
	return drop_unread(graph, last) || graph_sort(graph) ? NULL : node;
}

bool constant_number(const struct graph_value *value, double *number)
{
	if (!value || !value->constant || !dtype_is_float(value->constant->dtype) || tensor_count(value->constant) != 1)
		return false;
	*number = tensor_get_f64(value->constant, 0);
	return true;
}

struct graph_value *without_factor(const struct graph_value *value, double *factor)
{
	struct graph_node *node = value->producer;

	if (is_op(node, "Div") && constant_number(node->inputs[1], factor) && *factor != 0) {
		*factor = 1 / *factor;
		return node->inputs[0];
	}
	if (is_op(node, "Mul") && constant_number(node->inputs[1], factor))
		return node->inputs[0];
	if (is_op(node, "Mul") && constant_number(node->inputs[0], factor))
		return node->inputs[1];
	return NULL;
}

struct graph_value *other_operand(const struct graph_node *node, const struct graph_value *value)
{
	if (node->num_inputs != 2 || node->inputs[0] == node->inputs[1])
		return NULL;
	return node->inputs[0] == value ? node->inputs[1] : node->inputs[1] == value ? node->inputs[0] : NULL;
}

bool with_number(const struct graph_node *node, const struct graph_value *value, double number)
{
	double found;

	return constant_number(other_operand(node, value), &found) && fabs(found - number) <= 1e-3 * fabs(number);
}

bool constant_input(const struct graph_node *node, size_t index)
{
	return index < node->num_inputs && node->inputs[index] && node->inputs[index]->constant;
}

bool clip_limits(const struct graph_node *clip, float *limits)
{
	struct op_node op = graph_op_node(clip);

	limits[0] = op_attr_float(&op, "min", -3.402823466e+38f);
	limits[1] = op_attr_float(&op, "max", 3.402823466e+38f);
	for (size_t i = 1; i < clip->num_inputs && i < 3; i++) {
		if (clip->inputs[i] && !clip->inputs[i]->constant)
			return false;
		if (clip->inputs[i])
			limits[i - 1] = (float)tensor_get_f64(clip->inputs[i]->constant, 0);
	}
	return true;
}

bool saturates(const struct graph_node *activation, float scale, int zero, bool is_signed)
{
	float limits[2] = {0, INFINITY}, lowest = is_signed ? -128 : 0;

	if (is_op(activation, "Clip") && !clip_limits(activation, limits))
		return false;
	return nearbyintf(limits[0] / scale) + (float)zero <= lowest &&
	       nearbyintf(limits[1] / scale) + (float)zero >= lowest + 255;
}

bool resizes_to_nearest(const struct graph_node *node)
{
	struct op_node op;

	if (!is_op(node, "Resize"))
		return false;
	op = graph_op_node(node);
	return op_attr_is(&op, "mode", "nearest", "nearest") &&
	       !op_attr_is(&op, "coordinate_transformation_mode", "half_pixel", "tf_crop_and_resize");
}
