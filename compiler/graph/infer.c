/* SPDX-License-Identifier: MIT */
/* Types, shapes and constant folding; see graph_infer() in passes.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/execute.h"
#include "compiler/graph/infer.h"
#include "compiler/graph/passes.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/shape_rules.h"

struct inference {
	struct graph *graph;
	struct cpu_pool *pool;
	size_t fold_limit;
	int depth;  /* of bodies */
	bool trial; /* shapes only: nothing is folded, bodies are passed over */
	char *error;
	size_t error_size;
};

/* ---- running ---- */

static bool all_constant(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			return false;
	return !graph_node_is_random(node);
}

static bool all_static(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && (!graph_value_is_static(node->inputs[i]) || !node->inputs[i]->dtype))
			return false;
	return true;
}

static size_t output_bytes(const struct graph_node *node)
{
	size_t bytes = 0;

	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] && graph_value_is_static(node->outputs[i]))
			bytes += (size_t)dims_count(node->outputs[i]->rank, node->outputs[i]->dims) *
				 dtype_size(node->outputs[i]->dtype);
	return bytes;
}

/* The type of the elements of @value as far as they say it. */
static const struct graph_type *elements_type(struct graph *graph, const struct tensor *value)
{
	const struct tensor *element =
		dtype_is_nested(value->dtype) && tensor_count(value) ? tensor_elements(value) : NULL;

	if (!element || value->dtype == DTYPE_MAP)
		return NULL;
	return graph_add_type(graph, element->dtype, DTYPE_UNDEFINED, elements_type(graph, element));
}

/* Outputs of a run become constants, or only shapes. */
static int keep_outputs(struct inference *in, struct graph_node *node, struct tensor *outputs, bool fold)
{
	for (size_t i = 0; i < node->num_outputs; i++) {
		struct graph_value *value = node->outputs[i];
		struct tensor *own;

		if (!value)
			continue;
		if (dtype_is_nested(outputs[i].dtype)) { /* no constant, and its length says nothing that helps */
			value->dtype = outputs[i].dtype;
			value->element = value->element ? value->element : elements_type(in->graph, &outputs[i]);
			continue;
		}
		graph_set_shape(value, outputs[i].dtype, outputs[i].rank, outputs[i].dims);
		if (!fold || (in->fold_limit && tensor_bytes(&outputs[i]) > in->fold_limit) ||
		    outputs[i].dtype == DTYPE_STRING)
			continue;
		own = malloc(sizeof(*own));
		if (!own)
			return -ENOMEM;
		*own = outputs[i];
		memset(&outputs[i], 0, sizeof(outputs[i]));
		value->constant = own;
	}
	return 0;
}

/* Does it read strings that are not known yet? */
static bool reads_text(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && node->inputs[i]->dtype == DTYPE_STRING && !node->inputs[i]->constant)
			return true;
	return false;
}

static int run_kernel(struct inference *in, struct graph_node *node, bool fold)
{
	const struct op_kernel *kernel = op_find(node->domain, node->op_type, node->opset);
	struct op_node op = graph_op_node(node);
	const struct tensor **inputs = calloc(node->num_inputs + 1, sizeof(*inputs));
	struct tensor *zeros = calloc(node->num_inputs + 1, sizeof(*zeros));
	struct tensor *outputs = calloc(node->num_outputs + 1, sizeof(*outputs));
	struct tensor **out = calloc(node->num_outputs + 1, sizeof(*out));
	struct op_call call = {
		.node = &op, .inputs = inputs, .outputs = out, .pool = in->pool, .runner = &graph_runner};
	int err = 0;

	if (!inputs || !zeros || !outputs || !out)
		err = -ENOMEM;
	for (size_t i = 0; i < node->num_inputs && !err; i++) {
		struct graph_value *value = node->inputs[i];

		if (value && !value->constant)
			err = tensor_init(&zeros[i], value->dtype, value->rank, value->dims);
		inputs[i] = !value ? NULL : value->constant ? value->constant : &zeros[i];
	}
	for (size_t i = 0; i < node->num_outputs && !err; i++)
		out[i] = node->outputs[i] ? &outputs[i] : NULL;
	if (err)
		snprintf(in->error, in->error_size, "out of memory");
	else if (!kernel)
		err = -ENOENT; /* stays unknown; the session says so if it has to run it */
	else {
		err = op_run(kernel, &call);
		if (err && reads_text(node))
			err = -ENOENT; /* no text stands for all, as zeros do: the shape stays unknown */
		else if (err)
			snprintf(in->error, in->error_size, "node %s (%s): %.200s", node->name, node->op_type,
				 call.error);
		else
			err = keep_outputs(in, node, outputs, fold);
	}
	for (size_t i = 0; zeros && i < node->num_inputs; i++)
		tensor_finish(&zeros[i]);
	for (size_t i = 0; outputs && i < node->num_outputs; i++)
		tensor_finish(&outputs[i]);
	free(inputs);
	free(zeros);
	free(outputs);
	free(out);
	return err == -ENOENT ? 0 : err;
}

/* Shape and Size need only the shape of their input. */
static int fold_shape(struct inference *in, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	const struct graph_value *x = node->inputs[0];
	bool is_size = !strcmp(node->op_type, "Size");
	int64_t start = op_attr_int(&op, "start", 0), end = op_attr_int(&op, "end", x->rank), length;
	struct tensor result;
	int err;

	start += start < 0 ? x->rank : 0;
	end += end < 0 ? x->rank : 0;
	start = start < 0 ? 0 : start > x->rank ? x->rank : start;
	end = end < 0 ? 0 : end > x->rank ? x->rank : end;
	length = end > start ? end - start : 0;
	err = tensor_init(&result, DTYPE_S64, is_size ? 0 : 1, &length);
	if (err)
		return err;
	if (is_size)
		((int64_t *)result.data)[0] = dims_count(x->rank, x->dims);
	else
		memcpy(result.data, x->dims + start, (size_t)length * sizeof(int64_t));
	err = keep_outputs(in, node, &result, true);
	tensor_finish(&result);
	return err;
}

/* ---- bodies ---- */

/* Constants of the graph around that are not larger are copied into bodies, where they can be folded. */
#define MAX_COPIED_CONSTANT 4096

static int infer_graph(struct inference *in, struct graph *graph);
static int infer_node(struct inference *in, struct graph_node *node);

static void copy_type(struct graph_value *to, const struct graph_value *from)
{
	to->dtype = from->dtype ? from->dtype : to->dtype;
	to->key = from->key;
	to->element = from->element;
	to->rank = from->rank;
	for (int d = 0; d < from->rank; d++) /* symbols are those of another graph */
		to->dims[d] = from->dims[d] < 0 ? GRAPH_DIM_UNKNOWN : from->dims[d];
}

static int copy_constant(struct graph_value *to, const struct tensor *from)
{
	struct tensor *own = calloc(1, sizeof(*own));
	int err = own ? tensor_copy(own, from) : -ENOMEM;

	if (err) {
		free(own);
		return err;
	}
	to->constant = own;
	to->is_input = false;
	return 0;
}

/* What the captures of @body are, from what they are outside. */
static int infer_captures(const struct graph_node *node, struct graph *body)
{
	size_t kept = 0;
	int err = 0;

	for (size_t i = 0; i < body->num_captures && !err; i++) {
		struct graph_capture capture = body->captures[i];
		const struct graph_value *from = graph_captured(node, capture.index);

		copy_type(capture.value, from);
		if (from->constant && tensor_bytes(from->constant) <= MAX_COPIED_CONSTANT)
			err = copy_constant(capture.value, from->constant);
		else
			body->captures[kept++] = capture;
	}
	if (!err)
		body->num_captures = kept;
	return err;
}

/* What both branches agree on. */
static void merge_type(struct graph_value *into, const struct graph_value *other)
{
	if (!into->dtype)
		into->dtype = other->dtype;
	if (into->rank != other->rank || into->dtype != other->dtype) {
		into->rank = -1;
		return;
	}
	for (int d = 0; d < into->rank; d++)
		if (into->dims[d] != other->dims[d])
			into->dims[d] = GRAPH_DIM_UNKNOWN;
}

static bool is_loop(const struct graph_node *node)
{
	return !strcmp(node->op_type, "Loop");
}

/* How many loop-carried values or state variables the node has; they are its first outputs. */
static size_t num_state(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	int64_t scans = op_attr_int(&op, "num_scan_inputs", 0);

	if (is_loop(node))
		return op.num_inputs > 2 ? op.num_inputs - 2 : 0;
	if (strcmp(node->op_type, "Scan") || node->opset < 9 || scans < 0 || (size_t)scans > op.num_inputs)
		return 0;
	return op.num_inputs - (size_t)scans;
}

/* Types of the operands that a body gets from its node; @state: with the shapes that state has before the first iteration. */
static void infer_operands(const struct graph_node *node, struct graph *body, bool state)
{
	size_t skip = is_loop(node) ? 2 : 0;

	for (size_t i = 0; i < body->num_inputs; i++)
		body->inputs[i]->rank = -1;
	if (is_loop(node) && body->num_inputs >= 2) {
		graph_set_shape(body->inputs[0], DTYPE_S64, 0, NULL);
		graph_set_shape(body->inputs[1], DTYPE_BOOL, 0, NULL);
	}
	for (size_t i = 0; i < num_state(node) && skip + i < body->num_inputs; i++) {
		const struct graph_value *from = node->inputs[skip + i];

		if (!from)
			continue;
		copy_type(body->inputs[skip + i], from);
		if (!state)
			body->inputs[skip + i]->rank = -1;
	}
}

static bool same_shape(const struct graph_value *a, const struct graph_value *b)
{
	return graph_value_is_static(a) && graph_value_is_static(b) && a->dtype == b->dtype && a->rank == b->rank &&
	       (!a->rank || !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0])));
}

/*
 * Does all state leave an iteration with the shape that it came with? Then it has it in every iteration. Found out without folding:
 * a constant made of a shape that does not stay would be wrong.
 */
static bool state_keeps_shape(struct inference *in, const struct graph_node *node, struct graph *body)
{
	size_t count = num_state(node), first_in = is_loop(node) ? 2 : 0, first_out = is_loop(node) ? 1 : 0;
	struct inference trial = *in;
	bool keeps = count && first_in + count <= body->num_inputs && first_out + count <= body->num_outputs;
	char error[OP_ERROR_SIZE];

	trial.trial = true;
	trial.graph = body;
	trial.error = error;
	trial.error_size = sizeof(error);
	for (size_t i = 0; i < count && keeps; i++)
		keeps = graph_value_is_static(body->inputs[first_in + i]);
	for (size_t n = 0; n < body->num_nodes && keeps; n++)
		keeps = !infer_node(&trial, body->nodes[n]);
	for (size_t i = 0; i < count && keeps; i++)
		keeps = same_shape(body->inputs[first_in + i], body->outputs[first_out + i]);
	for (size_t i = 0; i < body->num_values; i++)
		if (body->values[i]->producer)
			body->values[i]->rank = -1;
	return keeps;
}

/* What the node's outputs are, from those of its body. @keeps: state has one shape in all iterations. */
static void infer_results(struct graph_node *node, const struct graph *body, bool first, bool keeps)
{
	bool branches = !strcmp(node->op_type, "If");
	size_t skip = is_loop(node) ? 1 : 0;

	for (size_t k = 0; k < node->num_outputs && k + skip < body->num_outputs; k++) {
		struct graph_value *to = node->outputs[k];
		const struct graph_value *from = body->outputs[k + skip];

		if (!to || !strcmp(node->op_type, "SequenceMap"))
			continue;
		if (branches && !first)
			merge_type(to, from);
		else if (branches || (keeps && k < num_state(node)))
			copy_type(to, from);
		else if (!to->dtype)
			to->dtype = from->dtype;
	}
}

static int infer_bodies(struct inference *in, struct graph_node *node)
{
	bool first = true;
	int err = 0;

	for (size_t i = 0; i < node->num_attrs && !err; i++) {
		struct graph *body = graph_node_body(node, i);
		bool keeps;

		if (!body)
			continue;
		err = infer_captures(node, body);
		if (err) {
			snprintf(in->error, in->error_size, "out of memory");
			return err;
		}
		infer_operands(node, body, true);
		keeps = state_keeps_shape(in, node, body);
		if (!keeps)
			infer_operands(node, body, false);
		in->depth++;
		err = infer_graph(in, body);
		in->depth--;
		if (!err)
			infer_results(node, body, first, keeps);
		first = false;
	}
	return err;
}

/* The branch that is always taken, else NULL. */
static struct graph *certain_branch(const struct graph_node *node)
{
	const struct tensor *condition = node->num_inputs && node->inputs[0] ? node->inputs[0]->constant : NULL;
	struct op_node op = graph_op_node(node);
	const struct attr *branch;

	if (strcmp(node->op_type, "If") || *node->domain || !condition || tensor_count(condition) != 1)
		return NULL;
	branch = op_attr(&op, tensor_get_s64(condition, 0) ? "then_branch" : "else_branch");
	return branch && branch->type == ATTR_GRAPH ? branch->graph : NULL;
}

static int infer_types(struct inference *in, struct graph_node *node)
{
	int err = graph_infer_types(in->graph, node);

	if (err)
		snprintf(in->error, in->error_size, "out of memory");
	return err;
}

static int infer_node(struct inference *in, struct graph_node *node)
{
	bool fold = !in->trial && all_constant(node) && strcmp(node->op_type, "DequantizeLinear");

	if (graph_has_body(node))
		return in->trial ? infer_types(in, node) : infer_bodies(in, node);
	if (!all_static(node) || (!fold && graph_shape_needs_data(node)))
		return infer_types(in, node);
	if (!in->trial && node->num_inputs && node->inputs[0] &&
	    (!strcmp(node->op_type, "Shape") || !strcmp(node->op_type, "Size")))
		return fold_shape(in, node);
	if (!fold && graph_infer_formula(node))
		return 0;
	if (fold && in->fold_limit && output_bytes(node) > in->fold_limit)
		fold = false;
	return run_kernel(in, node, fold);
}

/* Folded nodes lose their outputs to constants; drop them. */
static int drop_folded(struct graph *graph)
{
	for (size_t n = graph->num_nodes; n-- > 0;) {
		struct graph_node *node = graph->nodes[n];
		bool folded = node->num_outputs > 0;

		for (size_t i = 0; i < node->num_outputs; i++)
			folded &= !node->outputs[i] || (node->outputs[i]->constant && !node->outputs[i]->is_output);
		if (!folded)
			continue;
		for (size_t i = 0; i < node->num_outputs; i++)
			if (node->outputs[i])
				node->outputs[i]->producer = NULL;
		node->num_outputs = 0;
		if (graph_remove_node(graph, node))
			return -EINVAL;
	}
	return graph_sort(graph);
}

static int infer_graph(struct inference *in, struct graph *graph)
{
	struct graph *around = in->graph;
	int err = 0;

	in->graph = graph;
	for (size_t n = 0; n < graph->num_nodes && !err; n++) {
		struct graph *branch = certain_branch(graph->nodes[n]);

		if (!branch) {
			err = infer_node(in, graph->nodes[n]);
			/* A body may never run: what its operators refuse is an error when it does. */
			if (in->depth && (err == -EINVAL || err == -ENOTSUP))
				err = 0;
			continue;
		}
		/* Its nodes stand where the If was. */
		err = graph_inline(graph, graph->nodes[n--], branch);
		if (err)
			snprintf(in->error, in->error_size, "a branch that is always taken can not take its place: %s",
				 strerror(-err));
	}
	in->graph = around;
	/* An output that is constant keeps its node: the runtime computes it. */
	for (size_t i = 0; i < graph->num_outputs && !err; i++)
		if (graph->outputs[i]->constant && graph->outputs[i]->producer) {
			tensor_finish(graph->outputs[i]->constant);
			free(graph->outputs[i]->constant);
			graph->outputs[i]->constant = NULL;
		}
	return err ? err : drop_folded(graph);
}

int graph_infer(struct graph *graph, size_t fold_limit, char *error, size_t error_size)
{
	struct inference in = {.graph = graph, .fold_limit = fold_limit, .error = error, .error_size = error_size};
	int err = cpu_pool_create(0, &in.pool);

	if (!err)
		err = infer_graph(&in, graph);
	cpu_pool_destroy(in.pool);
	return err;
}
