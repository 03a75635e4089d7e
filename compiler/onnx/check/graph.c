/* SPDX-License-Identifier: MIT */
/* Names of a graph: each defined once, before it is read; no cycles; what is handed out is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/check/checker.h"

/* ---- the scope's names ---- */

/* FNV-1a */
static uint32_t hash(const char *name)
{
	uint32_t sum = 2166136261u;

	for (; *name; name++)
		sum = (sum ^ (unsigned char)*name) * 16777619u;
	return sum;
}

/* The slot of @name, or the free one where it belongs. The table is never full. */
static uint32_t *slot_of(const struct check_scope *scope, const char *name)
{
	size_t mask = scope->num_slots - 1;

	for (size_t i = hash(name) & mask;; i = (i + 1) & mask) {
		uint32_t *slot = &scope->slots[i];

		if (!*slot || !strcmp(scope->definitions[*slot - 1].name, name))
			return slot;
	}
}

static bool grow(struct check_scope *scope)
{
	size_t room = scope->max_definitions ? 2 * scope->max_definitions : 32;
	struct definition *definitions = realloc(scope->definitions, room * sizeof(*definitions));
	uint32_t *slots = definitions ? calloc(2 * room, sizeof(*slots)) : NULL;

	if (definitions)
		scope->definitions = definitions;
	if (!slots) {
		scope->checker->err = -ENOMEM;
		return false;
	}
	free(scope->slots);
	scope->slots = slots;
	scope->num_slots = 2 * room;
	scope->max_definitions = room;
	for (size_t i = 0; i < scope->num_definitions; i++)
		*slot_of(scope, scope->definitions[i].name) = (uint32_t)i + 1;
	return true;
}

struct definition *check_define(struct check_scope *scope, const char *name, int node)
{
	uint32_t *slot;

	if (scope->num_definitions == scope->max_definitions && !grow(scope))
		return NULL;
	slot = slot_of(scope, name);
	if (!*slot) {
		scope->definitions[scope->num_definitions] = (struct definition){.name = name, .node = node};
		*slot = (uint32_t)++scope->num_definitions;
	}
	return &scope->definitions[*slot - 1];
}

struct definition *check_lookup(const struct check_scope *scope, const char *name)
{
	uint32_t *slot = scope->num_slots ? slot_of(scope, name) : NULL;

	return slot && *slot ? &scope->definitions[*slot - 1] : NULL;
}

struct definition *check_resolve(const struct check_scope *scope, const char *name)
{
	struct definition *definition = NULL;

	for (; scope && !definition; scope = scope->outer)
		definition = check_lookup(scope, name);
	return definition;
}

void check_scope_init(struct checker *checker, struct check_scope *scope, struct check_scope *outer, const char *path)
{
	memset(scope, 0, sizeof(*scope));
	scope->checker = checker;
	scope->outer = outer;
	scope->current = -1;
	snprintf(scope->path, sizeof(scope->path), "%s", path);
	if (outer) {
		scope->depth = outer->depth + 1;
		scope->function = outer->function;
		scope->num_opsets = outer->num_opsets;
		scope->opsets = outer->opsets;
	} else {
		scope->num_opsets = checker->model->n_opset_import;
		scope->opsets = checker->model->opset_import;
	}
}

void check_scope_finish(struct check_scope *scope)
{
	free(scope->definitions);
	free(scope->slots);
	free(scope->edges);
}

int check_opset(const struct check_scope *scope, const char *domain)
{
	for (size_t i = 0; i < scope->num_opsets; i++)
		if (!strcmp(check_domain(scope->opsets[i]->domain), domain))
			return scope->opsets[i]->version < 1      ? 1
			       : scope->opsets[i]->version > 1000 ? 1000
								  : (int)scope->opsets[i]->version;
	return 0;
}

/* ---- what nodes write and read ---- */

void check_define_outputs(struct check_scope *scope)
{
	for (size_t n = 0; n < scope->num_nodes; n++) {
		const Onnx__NodeProto *node = scope->nodes[n];

		scope->current = (int)n;
		for (size_t i = 0; i < node->n_output; i++) {
			const char *name = check_text(node->output[i]);
			struct definition *definition;

			check_utf8(scope->checker, scope, "the name of an output", node->output[i]);
			if (!*name)
				continue;
			definition = check_lookup(scope, name);
			if (definition && definition->node == (int)n)
				check_found(scope->checker, scope, RULE_SSA_DUPLICATE, name,
					    "value %s is written twice", name);
			else if (definition)
				check_found(scope->checker, scope, RULE_SSA_DUPLICATE, name,
					    "value %s is written a second time: %s defines it", name,
					    definition->node >= 0     ? "another node"
					    : definition->initializer ? "an initializer"
								      : "an input");
			else if (scope->outer && check_resolve(scope->outer, name))
				check_found(scope->checker, scope, RULE_SSA_SHADOW, name,
					    "value %s has the name of a value of a graph around this one", name);
			if (!definition)
				check_define(scope, name, (int)n);
		}
	}
	scope->current = -1;
}

static void add_edge(struct check_scope *scope, int from, int to)
{
	if (scope->num_edges == scope->max_edges) {
		size_t room = scope->max_edges ? 2 * scope->max_edges : 64;
		struct edge *grown = realloc(scope->edges, room * sizeof(*grown));

		if (!grown) {
			scope->checker->err = -ENOMEM;
			return;
		}
		scope->edges = grown;
		scope->max_edges = room;
	}
	scope->edges[scope->num_edges++] = (struct edge){from, to};
}

/* The current node of @scope reads @name, which may be of any graph around it. That it comes later is said by check_order(). */
static void read_name(struct check_scope *scope, const char *name)
{
	for (struct check_scope *at = scope; at; at = at->outer) {
		const struct definition *definition = check_lookup(at, name);

		if (!definition)
			continue;
		if (definition->node >= 0 && at->current >= 0)
			add_edge(at, definition->node, at->current);
		return;
	}
	check_found(scope->checker, scope, RULE_NAME_UNDEFINED, name, "value %s is read, and nothing writes it", name);
}

/* ---- order ---- */

/*
 * Take away, again and again, the nodes that nothing left needs to wait for (@forward), or that nothing left waits for: @left
 * keeps the rest. After both directions that is what lies on cycles, or between two of them.
 */
static bool peel(const struct check_scope *scope, bool *left, bool forward)
{
	size_t *count = calloc(scope->num_nodes + 1, sizeof(*count)),
	       *start = calloc(scope->num_nodes + 2, sizeof(*start));
	int *next = malloc((scope->num_edges + 1) * sizeof(*next)),
	    *queue = malloc((scope->num_nodes + 1) * sizeof(*queue));
	size_t head = 0, tail = 0;
	bool good = count && start && next && queue;

	for (size_t e = 0; good && e < scope->num_edges; e++) {
		int from = forward ? scope->edges[e].from : scope->edges[e].to;
		int to = forward ? scope->edges[e].to : scope->edges[e].from;

		if (left[from] && left[to]) {
			count[to]++;
			start[from + 2]++;
		}
	}
	for (size_t i = 2; good && i < scope->num_nodes + 2; i++)
		start[i] += start[i - 1];
	for (size_t e = 0; good && e < scope->num_edges; e++) {
		int from = forward ? scope->edges[e].from : scope->edges[e].to;
		int to = forward ? scope->edges[e].to : scope->edges[e].from;

		if (left[from] && left[to])
			next[start[from + 1]++] = to;
	}
	for (size_t i = 0; good && i < scope->num_nodes; i++)
		if (left[i] && !count[i])
			queue[tail++] = (int)i;
	while (good && head < tail) {
		int node = queue[head++];

		left[node] = false;
		for (size_t k = start[node]; k < start[node + 1]; k++)
			if (!--count[next[k]])
				queue[tail++] = next[k];
	}
	free(count);
	free(start);
	free(next);
	free(queue);
	return good;
}

/* One finding for each reading of what comes later; one for the cycles, if there are any. */
static void check_order(struct check_scope *scope)
{
	bool *left = malloc(scope->num_nodes + 1), sorted = true;

	if (!left) {
		scope->checker->err = -ENOMEM;
		return;
	}
	for (size_t e = 0; e < scope->num_edges; e++)
		sorted = sorted && scope->edges[e].from < scope->edges[e].to;
	memset(left, true, scope->num_nodes + 1);
	if (!sorted && (!peel(scope, left, true) || !peel(scope, left, false)))
		scope->checker->err = -ENOMEM;
	for (size_t e = 0; !sorted && e < scope->num_edges; e++) {
		const struct edge *edge = &scope->edges[e];

		scope->current = edge->to;
		if (edge->from >= edge->to && !(left[edge->from] && left[edge->to]))
			check_found(scope->checker, scope, RULE_NODE_ORDER, "",
				    "it reads what node %d writes, which comes later", edge->from);
	}
	for (size_t i = 0; !sorted && i < scope->num_nodes; i++)
		if (left[i]) {
			scope->current = (int)i;
			check_found(scope->checker, scope, RULE_GRAPH_CYCLE, "",
				    "the graph has a cycle: the node needs a value that is made from its own result");
			break;
		}
	scope->current = -1;
	free(left);
}

void check_nodes(struct check_scope *scope)
{
	for (size_t n = 0; n < scope->num_nodes && !scope->checker->err; n++) {
		const Onnx__NodeProto *node = scope->nodes[n];

		scope->current = (int)n;
		check_utf8(scope->checker, scope, "the name of a node", node->name);
		for (size_t i = 0; i < node->n_input; i++) {
			check_utf8(scope->checker, scope, "the name of an input", node->input[i]);
			if (*check_text(node->input[i]))
				read_name(scope, node->input[i]);
		}
		check_node(scope, node);
	}
	scope->current = -1;
	check_order(scope);
}

/* ---- the graph itself ---- */

static void define_input(struct check_scope *scope, const Onnx__ValueInfoProto *input)
{
	const char *name = check_text(input->name);
	struct definition *definition;

	check_utf8(scope->checker, scope, "the name of an input", input->name);
	if (!*name) {
		check_found(scope->checker, scope, RULE_VALUE_NAME, "", "input '' has no name");
		return;
	}
	definition = check_lookup(scope, name);
	if (definition) {
		check_found(scope->checker, scope, RULE_SSA_DUPLICATE, name, "input '%s' is listed twice", name);
		return;
	}
	definition = check_define(scope, name, -1);
	if (definition) {
		definition->type = check_value_type(input->type);
		definition->input = input;
	}
	if (!check_states_type(input->type) && !scope->outer)
		check_found(scope->checker, scope, RULE_VALUE_TYPE, name, "input %s states no type", name);
	check_type(scope->checker, scope, name, input->type);
}

/* Type and shape of an initializer that is an input as well. */
static void check_initializer_input(struct check_scope *scope, const Onnx__TypeProto *type,
				    const Onnx__TensorProto *tensor)
{
	const Onnx__TensorShapeProto *shape = type->tensor_type->shape;

	if (type->tensor_type->elem_type != tensor->data_type)
		check_found(scope->checker, scope, RULE_INITIALIZER_TYPE, tensor->name,
			    "initializer %s has element type %d, as an input %d", tensor->name, tensor->data_type,
			    type->tensor_type->elem_type);
	if (!shape)
		return;
	if (shape->n_dim != tensor->n_dims) {
		check_found(scope->checker, scope, RULE_INITIALIZER_TYPE, tensor->name,
			    "initializer %s has rank %zu, as an input %zu", tensor->name, tensor->n_dims, shape->n_dim);
		return;
	}
	for (size_t d = 0; d < shape->n_dim; d++)
		if (shape->dim[d]->has_dim_value && shape->dim[d]->dim_value != tensor->dims[d])
			check_found(scope->checker, scope, RULE_INITIALIZER_TYPE, tensor->name,
				    "dimension %zu of initializer %s is %lld, as an input %lld", d, tensor->name,
				    (long long)tensor->dims[d], (long long)shape->dim[d]->dim_value);
}

static void define_initializer(struct check_scope *scope, const Onnx__TensorProto *values)
{
	struct checker *checker = scope->checker;
	const char *name = values ? check_text(values->name) : "";
	struct definition *definition;

	check_utf8(checker, scope, "the name of an initializer", name);
	if (!*name) {
		check_found(checker, scope, RULE_VALUE_NAME, "", "initializer '' has no name");
		return;
	}
	definition = check_lookup(scope, name);
	if (definition && definition->initializer) {
		check_found(checker, scope, RULE_SSA_DUPLICATE, name, "initializer '%s' is listed twice", name);
		return;
	}
	if (!definition && !scope->outer && checker->model->has_ir_version && checker->model->ir_version < 4)
		check_found(checker, scope, RULE_INITIALIZER_INPUT, name,
			    "initializer %s is no input, which IR version %lld demands", name,
			    (long long)checker->model->ir_version);
	if (definition && definition->input && definition->input->type && definition->input->type->tensor_type)
		check_initializer_input(scope, definition->input->type, values);
	definition = check_define(scope, name, -1);
	if (!definition)
		return;
	definition->initializer = true;
	if (check_element_type(values->data_type))
		definition->type = (struct value_type){VALUE_TENSOR, values->data_type, 0};
}

static void check_outputs(struct check_scope *scope, const Onnx__GraphProto *graph)
{
	struct checker *checker = scope->checker;

	for (size_t i = 0; i < graph->n_output; i++) {
		const Onnx__ValueInfoProto *output = graph->output[i];
		const char *name = check_text(output->name);

		check_utf8(checker, scope, "the name of an output", output->name);
		if (!*name)
			check_found(checker, scope, RULE_VALUE_NAME, "", "output %zu has no name", i);
		else if (!check_resolve(scope, name))
			check_found(checker, scope, RULE_OUTPUT_UNDEFINED, name,
				    "graph output '%s' is no value of the graph", name);
		if (!check_states_type(output->type) && !scope->outer)
			check_found(checker, scope, RULE_VALUE_TYPE, name, "output %s states no type", name);
		check_type(checker, scope, name, output->type);
	}
}

/* Types that the model states for what nodes write; before the nodes are walked. */
static void read_stated_types(struct check_scope *scope, size_t count, Onnx__ValueInfoProto *const *infos)
{
	for (size_t i = 0; i < count; i++) {
		struct definition *definition = check_lookup(scope, check_text(infos[i]->name));

		if (definition && definition->type.kind == VALUE_UNKNOWN)
			definition->type = check_value_type(infos[i]->type);
	}
}

void check_graph(struct checker *checker, struct check_scope *outer, const char *path, const Onnx__GraphProto *graph)
{
	struct check_scope scope;

	check_scope_init(checker, &scope, outer, path);
	if (scope.depth > CHECK_MAX_DEPTH) {
		check_found(checker, outer, RULE_SUBGRAPH_DEPTH, "", "subgraphs nest deeper than %d", CHECK_MAX_DEPTH);
		return;
	}
	scope.num_nodes = graph->n_node;
	scope.nodes = graph->node;
	if (!*check_text(graph->name))
		check_found(checker, &scope, RULE_GRAPH_NAME, "", "the graph has no name");
	check_utf8(checker, &scope, "the name of a graph", graph->name);
	for (size_t i = 0; i < graph->n_input; i++)
		define_input(&scope, graph->input[i]);
	for (size_t i = 0; i < graph->n_initializer; i++) {
		char what[200];

		define_initializer(&scope, graph->initializer[i]);
		snprintf(what, sizeof(what), "initializer %.150s", check_text(graph->initializer[i]->name));
		check_tensor(checker, &scope, what, graph->initializer[i]);
	}
	for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
		const Onnx__TensorProto *values = graph->sparse_initializer[i]->values;
		char what[200];

		define_initializer(&scope, values);
		snprintf(what, sizeof(what), "sparse initializer %.150s", values ? check_text(values->name) : "");
		check_sparse_tensor(checker, &scope, what, graph->sparse_initializer[i]);
	}
	for (size_t i = 0; i < graph->n_value_info; i++)
		check_type(checker, &scope, check_text(graph->value_info[i]->name), graph->value_info[i]->type);
	check_define_outputs(&scope);
	read_stated_types(&scope, graph->n_value_info, graph->value_info);
	read_stated_types(&scope, graph->n_output, graph->output);
	check_nodes(&scope);
	check_outputs(&scope, graph);
	check_scope_finish(&scope);
}
