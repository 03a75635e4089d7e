/* SPDX-License-Identifier: MIT */
/* LayerNormalization, Gelu and Linear; see transformer.h. Attention is in attention.c. */
#include "compiler/fuse/transformer.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "compiler/fuse/pattern.h"

static bool is_float(const struct graph_value *value)
{
	return value->dtype == DTYPE_F32 || value->dtype == DTYPE_F16 || value->dtype == DTYPE_BF16;
}

/* ---- LayerNormalization ---- */

/* A mean over the last axis that keeps it. */
static bool is_row_mean(const struct graph_node *node)
{
	struct op_node op;
	const int64_t *axes;
	size_t count;
	int rank;

	if (!is_op(node, "ReduceMean") || !graph_value_is_static(node->inputs[0]) || node->inputs[0]->rank < 1)
		return false;
	op = graph_op_node(node);
	rank = node->inputs[0]->rank;
	if (!op_attr_int(&op, "keepdims", 1))
		return false;
	count = op_attr_ints(&op, "axes", &axes);
	if (count)
		return count == 1 && (axes[0] == -1 || axes[0] == rank - 1);
	if (node->num_inputs < 2 || !node->inputs[1] || !node->inputs[1]->constant ||
	    tensor_count(node->inputs[1]->constant) != 1)
		return false;
	return tensor_get_s64(node->inputs[1]->constant, 0) == -1 ||
	       tensor_get_s64(node->inputs[1]->constant, 0) == rank - 1;
}

/* The reader of @value that is an @op_type, when it has just two readers (one may read it twice). */
static struct graph_node *reader_of_two(const struct graph_value *value, const char *op_type)
{
	struct graph_node *found = NULL;

	for (size_t i = 0; i < value->num_uses; i++)
		if (is_op(value->uses[i], op_type)) {
			if (found && found != value->uses[i])
				return NULL;
			found = value->uses[i];
		}
	return value->is_output ? NULL : found;
}

/* The square of @value: Pow by two, or times itself. */
static struct graph_node *square_of(const struct graph_value *value)
{
	struct graph_node *pow = reader_of_two(value, "Pow"), *mul = reader_of_two(value, "Mul");
	double exponent;

	if (pow && pow->inputs[0] == value && constant_number(pow->inputs[1], &exponent) && exponent == 2)
		return value->num_uses == 2 ? pow : NULL;
	if (mul && mul->inputs[0] == value && mul->inputs[1] == value)
		return value->num_uses == 3 ? mul : NULL;
	return NULL;
}

/* @node's other operand is a constant with one number for each of the last axis of @value. */
static struct graph_value *row_constant(const struct graph_node *node, const struct graph_value *value)
{
	struct graph_value *other = other_operand(node, value);
	int64_t count = value->rank > 0 ? value->dims[value->rank - 1] : -1;

	if (!other || !other->constant || other->rank < 1 || other->dims[other->rank - 1] != count ||
	    tensor_count(other->constant) != count || other->dtype != value->dtype || other->rank > value->rank)
		return NULL;
	return other;
}

/* One dimension is what the operator's parameters have. */
static struct graph_value *as_vector(struct graph *graph, struct graph_value *value)
{
	struct tensor copy = {0};

	if (value->rank == 1)
		return value;
	if (tensor_copy(&copy, value->constant))
		return NULL;
	copy.dims[0] = tensor_count(value->constant);
	copy.rank = 1;
	return graph_add_constant(graph, NULL, &copy);
}

/* The chain from @mean on, or false. nodes: mean, subtraction, …, the last. */
static bool match_norm(struct graph_node *mean, struct graph_node **nodes, size_t *count, double *epsilon,
		       struct graph_value **scale, struct graph_value **bias)
{
	struct graph_value *x = mean->inputs[0], *centred;
	struct graph_node *sub = only_reader(mean->outputs[0]), *square, *variance, *add, *root, *div, *mul, *shift;

	if (!is_op(sub, "Sub") || sub->inputs[0] != x || sub->inputs[1] != mean->outputs[0] || !is_float(x))
		return false;
	centred = sub->outputs[0];
	square = square_of(centred);
	div = reader_of_two(centred, "Div");
	variance = square ? only_reader(square->outputs[0]) : NULL;
	if (!div || div->inputs[0] != centred || !variance || !is_row_mean(variance))
		return false;
	add = only_reader(variance->outputs[0]);
	if (!is_op(add, "Add") || !constant_number(other_operand(add, variance->outputs[0]), epsilon))
		return false;
	root = only_reader(add->outputs[0]);
	if (!is_op(root, "Sqrt") || only_reader(root->outputs[0]) != div || div->inputs[1] != root->outputs[0])
		return false;
	mul = only_reader(div->outputs[0]);
	*scale = is_op(mul, "Mul") ? row_constant(mul, div->outputs[0]) : NULL;
	if (!*scale)
		return false;
	shift = only_reader(mul->outputs[0]);
	*bias = is_op(shift, "Add") ? row_constant(shift, mul->outputs[0]) : NULL;
	*count = 0;
	nodes[(*count)++] = mean;
	nodes[(*count)++] = sub;
	nodes[(*count)++] = div;
	nodes[(*count)++] = mul;
	if (*bias)
		nodes[(*count)++] = shift;
	return true;
}

int fuse_layer_norm(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *mean = graph->nodes[n], *nodes[5], *norm;
		struct graph_value *scale, *bias, *inputs[3];
		double epsilon;
		size_t count;

		if (!is_row_mean(mean) || !match_norm(mean, nodes, &count, &epsilon, &scale, &bias))
			continue;
		inputs[0] = mean->inputs[0];
		inputs[1] = as_vector(graph, scale);
		inputs[2] = bias ? as_vector(graph, bias) : NULL;
		if (!inputs[1] || (bias && !inputs[2]))
			return -ENOMEM;
		norm = replace_with(graph, nodes[count - 1], "", "LayerNormalization", 17, bias ? 3 : 2, inputs, count,
				    nodes);
		if (!norm || graph_node_set_int(graph, norm, "axis", -1) ||
		    graph_node_set_float(graph, norm, "epsilon", (float)epsilon))
			return -ENOMEM;
		n = (size_t)-1; /* nodes have moved */
	}
	return graph_sort(graph);
}

/* ---- Gelu ---- */

static bool near(double a, double b)
{
	return fabs(a - b) <= 2e-3 * fabs(b);
}

/* 0.044715 x^3 + x of some x: that x, else NULL. */
static struct graph_value *cubic(const struct graph_value *value)
{
	struct graph_node *add = value->producer;

	if (!is_op(add, "Add"))
		return NULL;
	for (size_t i = 0; i < 2; i++) {
		struct graph_value *x = add->inputs[1 - i], *cube;
		double factor, exponent;
		struct graph_node *power;

		cube = without_factor(add->inputs[i], &factor);
		power = cube ? cube->producer : NULL;
		if (!power || !near(factor, 0.044715))
			continue;
		if (is_op(power, "Pow") && power->inputs[0] == x && constant_number(power->inputs[1], &exponent) &&
		    exponent == 3)
			return x;
		for (size_t k = 0; is_op(power, "Mul") && k < 2; k++) {
			const struct graph_node *square = power->inputs[k]->producer;

			if (power->inputs[1 - k] == x && is_op(square, "Mul") && square->inputs[0] == x &&
			    square->inputs[1] == x)
				return x;
		}
	}
	return NULL;
}

/* What Erf or Tanh (@bend) is of, when it is the Gelu's inner function; else NULL. */
static struct graph_value *gelu_argument(const struct graph_node *bend)
{
	struct graph_value *inner;
	double factor;

	inner = bend->inputs[0] ? without_factor(bend->inputs[0], &factor) : NULL;
	if (!inner || !is_float(inner))
		return NULL;
	if (is_op(bend, "Erf"))
		return near(factor, sqrt(0.5)) ? inner : NULL;
	return near(factor, sqrt(2 / M_PI)) ? cubic(inner) : NULL;
}

/* From 1 + bend on: times x and a half, in any order. The last node of it, or NULL. */
static struct graph_node *gelu_tail(struct graph_node *add, const struct graph_value *x)
{
	struct graph_node *first = only_reader(add->outputs[0]), *second;
	struct graph_value *other;
	double factor;

	if (!is_op(first, "Mul"))
		return NULL;
	other = other_operand(first, add->outputs[0]);
	if (!other)
		return NULL;
	if (without_factor(other, &factor) == x && near(factor, 0.5))
		return first; /* (x / 2) (1 + …) */
	second = only_reader(first->outputs[0]);
	if (!is_op(second, "Mul"))
		return NULL;
	if (other == x)
		return with_number(second, first->outputs[0], 0.5) ? second : NULL;
	if (constant_number(other, &factor) && near(factor, 0.5))
		return other_operand(second, first->outputs[0]) == x ? second : NULL;
	return NULL;
}

int fuse_gelu(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *bend = graph->nodes[n], *add, *last, *gelu;
		bool erf = is_op(bend, "Erf");
		struct graph_value *x;

		if ((!erf && !is_op(bend, "Tanh")) || *bend->domain)
			continue;
		x = gelu_argument(bend);
		add = x ? only_reader(bend->outputs[0]) : NULL;
		last = is_op(add, "Add") && with_number(add, bend->outputs[0], 1) ? gelu_tail(add, x) : NULL;
		if (!last)
			continue;
		gelu = replace_with(graph, last, "", "Gelu", 20, 1, &x, 2, (struct graph_node *[]){bend, last});
		if (!gelu || graph_node_set_string(graph, gelu, "approximate", erf ? "none" : "tanh"))
			return -ENOMEM;
		n = (size_t)-1;
	}
	return graph_sort(graph);
}

/* ---- Linear ---- */

/* The activation that alone reads @value and that Linear has, with its name there. */
static struct graph_node *linear_activation(const struct graph_value *value, const char **name)
{
	static const char *const names[] = {"Relu", "Sigmoid", "Tanh"};
	struct graph_node *node = only_reader(value);
	struct op_node op;

	if (!node || *node->domain)
		return NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_op(node, names[i])) {
			*name = names[i];
			return node;
		}
	if (!is_op(node, "Gelu"))
		return NULL;
	op = graph_op_node(node);
	*name = op_attr_is(&op, "approximate", "none", "tanh") ? "FastGelu" : "Gelu";
	return node;
}

/* The addition that alone reads @value, of something as large that is computed without it. */
static struct graph_node *linear_residual(const struct graph_value *value, const struct graph_node *product,
					  struct graph_value **residual)
{
	struct graph_node *add = only_reader(value);

	*residual = is_op(add, "Add") ? other_operand(add, value) : NULL;
	return *residual && !(*residual)->constant && same_shape(*residual, value) && before(*residual, product) ? add
														 : NULL;
}

int fuse_linear(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *product = graph->nodes[n], *nodes[3] = {product}, *next, *linear;
		struct graph_value *inputs[4] = {0}, *bias, *residual = NULL;
		const char *activation = NULL;
		size_t count = 1;

		if (!is_op(product, "MatMul") || !product->inputs[1]->constant || product->inputs[1]->rank != 2 ||
		    !graph_value_is_static(product->outputs[0]) || product->outputs[0]->rank < 2 ||
		    product->outputs[0]->dtype != DTYPE_F32)
			continue;
		next = only_reader(product->outputs[0]);
		bias = is_op(next, "Add") ? row_constant(next, product->outputs[0]) : NULL;
		if (!bias)
			continue;
		nodes[count++] = next;
		inputs[0] = product->inputs[0];
		inputs[1] = product->inputs[1];
		inputs[2] = as_vector(graph, bias);
		if (!inputs[2])
			return -ENOMEM;
		next = linear_activation(nodes[1]->outputs[0], &activation);
		if (!next)
			next = linear_residual(nodes[1]->outputs[0], product, &residual);
		if (next)
			nodes[count++] = next;
		inputs[3] = residual;
		linear = replace_with(graph, nodes[count - 1], "axl", "Linear", 1, residual ? 4 : 3, inputs, count,
				      nodes);
		if (!linear || (activation && graph_node_set_string(graph, linear, "activation", activation)))
			return -ENOMEM;
		n = (size_t)-1;
	}
	return graph_sort(graph);
}
