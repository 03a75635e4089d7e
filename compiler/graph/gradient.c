/* SPDX-License-Identifier: MIT */
/*
 * Gradient nodes become the nodes of their derivatives; see gradient.h.
 */
#include "compiler/graph/gradient.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The opset in which the derivatives are written, whatever the model's. */
#define GRADIENT_OPSET 18

/* ---- building ---- */

struct graph_value *gradient_emit(struct gradient *g, const char *op_type, const struct graph_value *like,
				  size_t num_inputs, struct graph_value *const *inputs)
{
	struct graph_value *value;

	for (size_t i = 0; i < num_inputs; i++)
		g->failed |= !inputs[i];
	if (g->failed)
		return NULL;
	value = graph_add_value(g->graph, NULL, like ? like->dtype : DTYPE_UNDEFINED, -1, NULL);
	if (!value ||
	    !graph_add_node(g->graph, g->before, "", op_type, GRADIENT_OPSET, NULL, num_inputs, inputs, 1, &value)) {
		g->failed = true;
		return NULL;
	}
	return value;
}

struct graph_value *gradient_scalar(struct gradient *g, double value, struct graph_value *like)
{
	struct graph_value *constant;
	struct tensor t;

	if (g->failed || tensor_init(&t, like->dtype == DTYPE_F32 ? DTYPE_F32 : DTYPE_F64, 0, NULL)) {
		g->failed = true;
		return NULL;
	}
	if (t.dtype == DTYPE_F32)
		*(float *)t.data = (float)value;
	else
		*(double *)t.data = value;
	constant = graph_add_constant(g->graph, NULL, &t);
	if (!constant) {
		g->failed = true;
		return NULL;
	}
	if (like->dtype == t.dtype)
		return constant;
	return gradient_emit(g, "CastLike", like, 2, (struct graph_value *[]){constant, like});
}

struct graph_value *gradient_fill(struct gradient *g, double value, struct graph_value *like)
{
	struct graph_value *shape = gradient_emit(g, "Shape", NULL, 1, &like);

	return gradient_emit(g, "Expand", like, 2, (struct graph_value *[]){gradient_scalar(g, value, like), shape});
}

/* ---- one Gradient node ---- */

/*
 * struct differentiation - one Gradient node being replaced
 * @named:  by input: the value that the attributes name, which the input stands for
 * @elsewhere: some input is another value than the one named
 * @active: by value id: depends on a variable
 * @sums:   by value id: the derivative of the target by it, as far as it is summed, or NULL
 */
struct differentiation {
	struct gradient g;
	struct graph_node *node;
	const struct attr *xs;
	struct graph_value *target;
	struct graph_value **named;
	bool elsewhere;
	bool *active;
	struct graph_value **sums;
};

static int __attribute__((format(printf, 3, 4))) fail(struct gradient *g, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(g->error, g->error_size, format, args);
	va_end(args);
	return err;
}

static struct graph_value *value_named(const struct graph *graph, const struct tensor_string *name)
{
	char text[512];

	if (name->size >= sizeof(text))
		return NULL;
	snprintf(text, sizeof(text), "%.*s", (int)name->size, name->size ? name->data : "");
	return graph_find_value(graph, text);
}

/* Input @input stands for the value that @name names: the same one, or another to differentiate at. */
static int check_variable(struct differentiation *d, size_t input, const struct tensor_string *name)
{
	const struct graph_value *given = input < d->node->num_inputs ? d->node->inputs[input] : NULL;
	struct graph_value *named = value_named(d->g.graph, name);

	if (!named)
		return fail(&d->g, -EINVAL, "node %s (Gradient): no value is called %.*s", d->node->name,
			    (int)name->size, name->data);
	if (!given)
		return fail(&d->g, -EINVAL, "node %s (Gradient): input %zu is missing", d->node->name, input);
	d->named[input] = named;
	d->elsewhere |= given != named;
	return 0;
}

static int read_gradient(struct differentiation *d)
{
	struct op_node op = graph_op_node(d->node);
	const struct attr *y = op_attr(&op, "y"), *zs = op_attr(&op, "zs");
	size_t num_zs = zs && zs->type == ATTR_STRINGS ? zs->count : 0;
	int err = 0;

	d->xs = op_attr(&op, "xs");
	if (!d->xs || d->xs->type != ATTR_STRINGS || !y || y->type != ATTR_STRING)
		return fail(&d->g, -EINVAL, "node %s (Gradient): attribute xs or y is missing", d->node->name);
	if (d->node->num_inputs != d->xs->count + num_zs || d->node->num_outputs != d->xs->count)
		return fail(&d->g, -EINVAL,
			    "node %s (Gradient): %zu inputs and %zu outputs for %zu names in xs and %zu in zs",
			    d->node->name, d->node->num_inputs, d->node->num_outputs, d->xs->count, num_zs);
	d->named = calloc(d->node->num_inputs + 1, sizeof(*d->named));
	if (!d->named)
		return -ENOMEM;
	for (size_t i = 0; i < d->xs->count && !err; i++)
		err = check_variable(d, i, &d->xs->strings[i]);
	for (size_t i = 0; i < num_zs && !err; i++)
		err = check_variable(d, d->xs->count + i, &zs->strings[i]);
	if (err)
		return err;
	d->target = value_named(d->g.graph, &y->s);
	if (!d->target)
		return fail(&d->g, -EINVAL, "node %s (Gradient): no value is called %.*s (attribute y)", d->node->name,
			    (int)y->s.size, y->s.data);
	return 0;
}

/* ---- at other values than the graph's own: the target's nodes once more, reading the inputs instead of the named ones ---- */

/* Names, numbers and strings belong to the graph and are shared. */
int gradient_copy_attributes(struct gradient *g, const struct graph_node *from, struct graph_node *to)
{
	to->attrs = calloc(from->num_attrs + 1, sizeof(*to->attrs));
	if (!to->attrs)
		return -ENOMEM;
	for (; to->num_attrs < from->num_attrs; to->num_attrs++) {
		const struct attr *attr = &from->attrs[to->num_attrs];
		struct attr *copy = &to->attrs[to->num_attrs];

		if (attr->type == ATTR_TENSOR && attr->tensor) {
			*copy = *attr;
			copy->tensor = calloc(1, sizeof(*copy->tensor));
			if (!copy->tensor || tensor_copy(copy->tensor, attr->tensor)) {
				to->num_attrs += copy->tensor != NULL;
				return -ENOMEM;
			}
			continue;
		}
		if (attr->type != ATTR_INT && attr->type != ATTR_FLOAT && attr->type != ATTR_STRING &&
		    attr->type != ATTR_INTS && attr->type != ATTR_FLOATS)
			return fail(
				g, -ENOTSUP,
				"node %s (Gradient): %s (node %s) at other values than the graph's own: attribute %s",
				g->before->name, from->op_type, from->name, attr->name);
		*copy = *attr;
	}
	return 0;
}

/* @now: by value id: what stands for the value, NULL: itself. */
static int repeat_node(struct gradient *g, const struct graph_node *from, struct graph_value **now)
{
	struct graph_value **operands = calloc(from->num_inputs + from->num_outputs + 1, sizeof(*operands));
	struct graph_value **results = operands + from->num_inputs;
	struct graph_node *node = NULL;

	if (!operands)
		return -ENOMEM;
	for (size_t i = 0; i < from->num_inputs; i++)
		operands[i] = from->inputs[i] && now[from->inputs[i]->id] ? now[from->inputs[i]->id] : from->inputs[i];
	for (size_t i = 0; i < from->num_outputs; i++) {
		struct graph_value *value = from->outputs[i];

		if (!value)
			continue;
		results[i] = graph_add_value(g->graph, NULL, value->dtype, value->rank, value->dims);
		g->failed |= !results[i];
		if (!now[value->id])
			now[value->id] = results[i];
	}
	if (!g->failed)
		node = graph_add_node(g->graph, g->before, from->domain, from->op_type, from->opset, NULL,
				      from->num_inputs, operands, from->num_outputs, results);
	free(operands);
	return node ? gradient_copy_attributes(g, from, node) : -ENOMEM;
}

/* Values that the target is computed from, up to the named ones. */
static void mark_needed(const struct differentiation *d, size_t count, struct graph_value *const *now, bool *needed)
{
	needed[d->target->id] = true;
	for (size_t n = count; n-- > 0;) {
		const struct graph_node *node = d->g.graph->nodes[n];
		bool used = false;

		for (size_t i = 0; i < node->num_outputs; i++)
			used |= node->outputs[i] && needed[node->outputs[i]->id] && !now[node->outputs[i]->id];
		for (size_t i = 0; i < node->num_inputs && used; i++)
			if (node->inputs[i])
				needed[node->inputs[i]->id] = true;
	}
}

static int repeat_target(struct differentiation *d)
{
	size_t values = d->g.graph->num_values, count = d->g.graph->num_nodes;
	struct graph_value **now = calloc(values + 1, sizeof(*now));
	struct graph_node **nodes = calloc(count + 1, sizeof(*nodes));
	bool *needed = calloc(values + 1, sizeof(*needed));
	int err = now && nodes && needed ? 0 : -ENOMEM;

	for (size_t i = 0; i < d->node->num_inputs && !err; i++)
		now[d->named[i]->id] = d->node->inputs[i];
	if (!err) {
		mark_needed(d, count, now, needed);
		memcpy(nodes, d->g.graph->nodes, count * sizeof(*nodes));
	}
	for (size_t n = 0; n < count && !err; n++) {
		bool used = false, changed = false;

		for (size_t i = 0; i < nodes[n]->num_outputs; i++)
			used |= nodes[n]->outputs[i] && needed[nodes[n]->outputs[i]->id] &&
				!now[nodes[n]->outputs[i]->id];
		for (size_t i = 0; i < nodes[n]->num_inputs; i++)
			changed |= nodes[n]->inputs[i] && now[nodes[n]->inputs[i]->id];
		if (used && changed && nodes[n] != d->node)
			err = repeat_node(&d->g, nodes[n], now);
	}
	if (!err && now[d->target->id])
		d->target = now[d->target->id];
	free(now);
	free(nodes);
	free(needed);
	/* Nodes that are repeated may stand behind the Gradient node. */
	return err ? err : graph_sort(d->g.graph);
}

/* ---- the derivative ---- */

/* Forward: what depends on the variables. Nothing behind the target counts, and rules add values: hence the limit. */
static void mark_active(struct differentiation *d)
{
	for (size_t i = 0; i < d->xs->count; i++)
		d->active[d->node->inputs[i]->id] = true;
	for (size_t n = 0; n < d->g.graph->num_nodes; n++) {
		const struct graph_node *node = d->g.graph->nodes[n];
		bool active = false;

		for (size_t i = 0; i < node->num_inputs; i++)
			active |= node->inputs[i] && d->active[node->inputs[i]->id];
		for (size_t i = 0; i < node->num_outputs && active && node != d->node; i++)
			if (node->outputs[i])
				d->active[node->outputs[i]->id] = true;
	}
}

static void add_derivative(struct differentiation *d, const struct graph_value *value, struct graph_value *derivative)
{
	struct graph_value **sum = &d->sums[value->id];

	*sum = *sum ? gradient_emit(&d->g, "Add", value, 2, (struct graph_value *[]){*sum, derivative}) : derivative;
}

/* Chain rule through one node. */
static int differentiate_node(struct differentiation *d, const struct graph_node *node)
{
	/* Before opset 7 the shapes of arithmetic matched by attributes. */
	const struct gradient_rule *rule = *node->domain || node->opset < 7 ? NULL : gradient_rule_of(node->op_type);
	struct graph_value **dx = calloc(node->num_inputs + node->num_outputs + 1, sizeof(*dx));
	bool *active = calloc(node->num_inputs + 1, sizeof(*active));
	int err = dx && active ? 0 : -ENOMEM;

	d->g.dys = dx + node->num_inputs;
	for (size_t i = 0; i < node->num_outputs && !err; i++) {
		d->g.dys[i] = node->outputs[i] ? d->sums[node->outputs[i]->id] : NULL;
		if (rule && !rule->all_outputs && (d->g.dys[i] != NULL) != (i == 0))
			err = fail(&d->g, -ENOTSUP,
				   "node %s (Gradient): no rule for the derivative of output %zu of %s (node %s)",
				   d->node->name, i ? i : (size_t)1, node->op_type, node->name);
	}
	for (size_t i = 0; i < node->num_inputs && !err; i++)
		active[i] = node->inputs[i] && d->active[node->inputs[i]->id];
	if (!err && !rule)
		err = fail(
			&d->g, -ENOTSUP, "node %s (Gradient): no rule for the derivative of %s%s%s, opset %d (node %s)",
			d->node->name, node->domain, *node->domain ? "." : "", node->op_type, node->opset, node->name);
	if (!err)
		err = rule->differentiate(&d->g, node, d->g.dys[0], active, dx);
	for (size_t i = 0; i < node->num_inputs && !err; i++)
		if (active[i] && dx[i])
			add_derivative(d, node->inputs[i], dx[i]);
	free(dx);
	free(active);
	return err ? err : d->g.failed ? -ENOMEM : 0;
}

/* Backward from the target, over the nodes that were there before the first rule wrote its own. */
static int run_backward(struct differentiation *d)
{
	size_t count = d->g.graph->num_nodes;
	struct graph_node **nodes = malloc(count * sizeof(*nodes));
	int err = 0;

	if (!nodes)
		return -ENOMEM;
	memcpy(nodes, d->g.graph->nodes, count * sizeof(*nodes));
	d->sums[d->target->id] = gradient_fill(&d->g, 1, d->target);
	for (size_t n = count; n-- > 0 && !err;) {
		bool reached = false, active = false;

		if (nodes[n] == d->node)
			continue;
		for (size_t i = 0; i < nodes[n]->num_outputs; i++) {
			const struct graph_value *out = nodes[n]->outputs[i];

			active |= out && d->active[out->id];
			reached |= out && d->sums[out->id];
		}
		if (reached && active)
			err = differentiate_node(d, nodes[n]);
	}
	free(nodes);
	return err ? err : d->g.failed ? -ENOMEM : 0;
}

/* The node's outputs become copies of the sums: they keep their names. What the target does not depend on is zero. */
static int write_outputs(struct differentiation *d)
{
	struct graph_node *node = d->node;
	size_t count = node->num_outputs;

	for (size_t i = 0; i < count; i++) {
		struct graph_value *x = node->inputs[i], *out = node->outputs[i], *sum = d->sums[x->id];

		if (!out)
			continue;
		if (!sum)
			sum = gradient_fill(&d->g, 0, x);
		out->producer = NULL;
		node->outputs[i] = NULL;
		if (!sum || !graph_add_node(d->g.graph, node, "", "Identity", GRADIENT_OPSET, NULL, 1, &sum, 1, &out))
			return -ENOMEM;
	}
	node->num_outputs = 0;
	return graph_remove_node(d->g.graph, node);
}

static int expand(struct graph *graph, struct graph_node *node, char *error, size_t error_size)
{
	struct differentiation d = {.g = {.graph = graph, .before = node, .error = error, .error_size = error_size},
				    .node = node};
	int err = read_gradient(&d);

	if (!err && d.elsewhere)
		err = repeat_target(&d);
	free(d.named);
	if (err)
		return err;
	/* Ids of values that the rules add are beyond both arrays; nothing asks for them. */
	d.active = calloc(graph->num_values + 1, sizeof(*d.active));
	d.sums = calloc(graph->num_values + 1, sizeof(*d.sums));
	err = d.active && d.sums ? 0 : -ENOMEM;
	if (!err) {
		mark_active(&d);
		err = run_backward(&d);
	}
	if (!err)
		err = write_outputs(&d);
	free(d.active);
	free(d.sums);
	return err;
}

static struct graph_node *find_gradient(const struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++)
		if (!strcmp(graph->nodes[n]->domain, "ai.onnx.preview.training") &&
		    !strcmp(graph->nodes[n]->op_type, "Gradient"))
			return graph->nodes[n];
	return NULL;
}

int graph_expand_gradients(struct graph *graph, char *error, size_t error_size)
{
	struct graph_node *node;
	int err = 0;

	while (!err && (node = find_gradient(graph))) {
		err = expand(graph, node, error, error_size);
		/* The target's nodes may stand behind the Gradient node, which did not read them: its derivatives do. */
		if (!err)
			err = graph_sort(graph);
	}
	if (err == -ENOMEM)
		snprintf(error, error_size, "out of memory");
	return err;
}
