/* SPDX-License-Identifier: MIT */
/* Building, editing and reading graphs; see graph.h. */
#include "compiler/graph/graph.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Memory that lives as long as the graph, in blocks; and a hash table of values by name. */
struct block {
	struct block *next;
	size_t used, size;
	max_align_t data[];
};

struct graph_private {
	struct block *blocks;
	struct graph_value **names; /* open addressing */
	size_t names_size, names_used;
	size_t max_values, max_nodes;
	unsigned int fresh; /* for made-up names */
};

static void *graph_alloc(struct graph *graph, size_t size)
{
	struct graph_private *priv = graph->priv;
	size_t need = (size + 15) & ~(size_t)15;
	void *memory;

	if (!priv->blocks || priv->blocks->size - priv->blocks->used < need) {
		size_t bytes = need > 65536 ? need : 65536;
		struct block *block = malloc(sizeof(*block) + bytes);

		if (!block)
			return NULL;
		block->next = priv->blocks;
		block->used = 0;
		block->size = bytes;
		priv->blocks = block;
	}
	memory = (uint8_t *)priv->blocks->data + priv->blocks->used;
	priv->blocks->used += need;
	memset(memory, 0, need);
	return memory;
}

int graph_create(const char *name, struct graph **graph)
{
	struct graph *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->priv = calloc(1, sizeof(*g->priv));
	if (!g->priv) {
		free(g);
		return -ENOMEM;
	}
	g->name = graph_intern(g, name ? name : "");
	*graph = g;
	return 0;
}

static void finish_value(struct graph_value *value)
{
	if (value->constant) {
		tensor_finish(value->constant);
		free(value->constant);
	}
	free(value->uses);
}

static void finish_attrs(struct graph_node *node)
{
	for (size_t i = 0; i < node->num_attrs; i++) {
		size_t tensors = node->attrs[i].type == ATTR_TENSORS ? node->attrs[i].count : 1;

		for (size_t k = 0; node->attrs[i].tensor && k < tensors; k++)
			tensor_finish(&node->attrs[i].tensor[k]);
		free(node->attrs[i].tensor);
		for (size_t k = 0; node->attrs[i].strings && k < node->attrs[i].count; k++)
			free(node->attrs[i].strings[k].data);
		free(node->attrs[i].strings);
		if (node->attrs[i].type == ATTR_GRAPH)
			graph_destroy(node->attrs[i].graph);
	}
	free(node->attrs);
}

void graph_destroy(struct graph *graph)
{
	if (!graph)
		return;
	for (size_t i = 0; i < graph->num_values; i++)
		finish_value(graph->values[i]);
	for (size_t i = 0; i < graph->num_nodes; i++)
		finish_attrs(graph->nodes[i]);
	while (graph->priv->blocks) {
		struct block *next = graph->priv->blocks->next;

		free(graph->priv->blocks);
		graph->priv->blocks = next;
	}
	free(graph->priv->names);
	free(graph->priv);
	free(graph->values);
	free(graph->nodes);
	free(graph->inputs);
	free(graph->outputs);
	free(graph->captures);
	free(graph->symbols);
	free(graph->stated);
	free(graph->opsets);
	free(graph);
}

void graph_take_memory(struct graph *graph, struct graph *from)
{
	struct block **last = &graph->priv->blocks;

	while (*last)
		last = &(*last)->next;
	/* Behind the block that is being filled. What @from still has in it stays valid until @graph is destroyed. */
	*last = from->priv->blocks;
	from->priv->blocks = NULL;
}

const char *graph_intern(struct graph *graph, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = graph_alloc(graph, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

char *graph_copy_bytes(struct graph *graph, const void *bytes, size_t size)
{
	char *copy = graph_alloc(graph, size + 1);

	if (!copy)
		return NULL;
	if (size)
		memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

/* ---- values ---- */

static struct graph_value **name_slot(struct graph_value **names, size_t size, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (const char *c = name; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
	for (size_t i = hash & (size - 1);; i = (i + 1) & (size - 1))
		if (!names[i] || !strcmp(names[i]->name, name))
			return &names[i];
}

static int grow_names(struct graph_private *priv)
{
	size_t size = priv->names_size ? priv->names_size * 2 : 256;
	struct graph_value **names = calloc(size, sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < priv->names_size; i++)
		if (priv->names[i])
			*name_slot(names, size, priv->names[i]->name) = priv->names[i];
	free(priv->names);
	priv->names = names;
	priv->names_size = size;
	return 0;
}

struct graph_value *graph_find_value(const struct graph *graph, const char *name)
{
	return graph->priv->names_size ? *name_slot(graph->priv->names, graph->priv->names_size, name) : NULL;
}

/* @name, or something like it that no value has. */
static const char *unique_name(struct graph *graph, const char *name)
{
	char text[320];

	if (name && *name && !graph_find_value(graph, name))
		return graph_intern(graph, name);
	do
		snprintf(text, sizeof(text), "%.250s_%u", name && *name ? name : "value", graph->priv->fresh++);
	while (graph_find_value(graph, text));
	return graph_intern(graph, text);
}

static int grow_array(void *array, size_t count, size_t *capacity, size_t size)
{
	void **pointer = array, *grown;
	size_t more = *capacity * 2 + 64;

	if (count < *capacity)
		return 0;
	grown = realloc(*pointer, more * size);
	if (!grown)
		return -ENOMEM;
	*pointer = grown;
	*capacity = more;
	return 0;
}

struct graph_value *graph_add_value(struct graph *graph, const char *name, enum dtype dtype, int rank,
				    const int64_t *dims)
{
	struct graph_private *priv = graph->priv;
	struct graph_value *value;

	if (rank > TENSOR_MAX_RANK ||
	    grow_array(&graph->values, graph->num_values, &priv->max_values, sizeof(*graph->values)) ||
	    (priv->names_used * 2 >= priv->names_size && grow_names(priv)))
		return NULL;
	value = graph_alloc(graph, sizeof(*value));
	if (!value)
		return NULL;
	value->name = unique_name(graph, name);
	if (!value->name)
		return NULL;
	value->id = (int)graph->num_values;
	value->dtype = dtype;
	value->rank = rank;
	for (int d = 0; d < rank; d++)
		value->dims[d] = dims ? dims[d] : GRAPH_DIM_UNKNOWN;
	graph->values[graph->num_values++] = value;
	*name_slot(priv->names, priv->names_size, value->name) = value;
	priv->names_used++;
	return value;
}

const struct graph_type *graph_add_type(struct graph *graph, enum dtype dtype, enum dtype key,
					const struct graph_type *element)
{
	struct graph_type *type = graph_alloc(graph, sizeof(*type));

	if (type)
		*type = (struct graph_type){dtype, key, element};
	return type;
}

struct graph_value *graph_add_constant(struct graph *graph, const char *name, struct tensor *tensor)
{
	struct graph_value *value = graph_add_value(graph, name, tensor->dtype, tensor->rank, tensor->dims);
	struct tensor *own = value ? malloc(sizeof(*own)) : NULL;

	if (!own) {
		tensor_finish(tensor);
		return NULL;
	}
	*own = *tensor;
	memset(tensor, 0, sizeof(*tensor));
	value->constant = own;
	return value;
}

static int add_use(struct graph_value *value, struct graph_node *node)
{
	struct graph_node **grown = value->uses;

	if ((value->num_uses & (value->num_uses + 1)) == 0 || value->num_uses == 0) {
		grown = realloc(value->uses, (value->num_uses * 2 + 2) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
	}
	value->uses = grown;
	value->uses[value->num_uses++] = node;
	return 0;
}

static void drop_use(struct graph_value *value, struct graph_node *node)
{
	for (size_t i = 0; i < value->num_uses; i++)
		if (value->uses[i] == node) {
			memmove(&value->uses[i], &value->uses[i + 1],
				(value->num_uses - i - 1) * sizeof(value->uses[0]));
			value->num_uses--;
			return;
		}
}

/* ---- nodes ---- */

struct graph_node *graph_add_node(struct graph *graph, struct graph_node *before, const char *domain,
				  const char *op_type, int opset, const char *name, size_t num_inputs,
				  struct graph_value *const *inputs, size_t num_outputs,
				  struct graph_value *const *outputs)
{
	struct graph_node *node = graph_alloc(graph, sizeof(*node));
	size_t at = graph->num_nodes;

	if (!node || grow_array(&graph->nodes, graph->num_nodes, &graph->priv->max_nodes, sizeof(*graph->nodes)))
		return NULL;
	node->inputs = graph_alloc(graph, (num_inputs + 1) * sizeof(*node->inputs));
	node->outputs = graph_alloc(graph, (num_outputs + 1) * sizeof(*node->outputs));
	node->domain = graph_intern(graph, domain ? domain : "");
	node->op_type = graph_intern(graph, op_type);
	node->name = graph_intern(graph, name && *name ? name : num_outputs && outputs[0] ? outputs[0]->name : op_type);
	if (!node->inputs || !node->outputs || !node->domain || !node->op_type || !node->name)
		return NULL;
	node->origin = node->name;
	node->opset = opset;
	node->num_inputs = num_inputs;
	node->num_outputs = num_outputs;
	node->reason = "";
	for (size_t i = 0; i < num_inputs; i++) {
		node->inputs[i] = inputs[i];
		if (inputs[i] && add_use(inputs[i], node))
			return NULL;
	}
	for (size_t i = 0; i < num_outputs; i++) {
		node->outputs[i] = outputs[i];
		if (outputs[i])
			outputs[i]->producer = node;
	}
	if (before)
		for (at = 0; at < graph->num_nodes && graph->nodes[at] != before; at++)
			;
	memmove(&graph->nodes[at + 1], &graph->nodes[at], (graph->num_nodes - at) * sizeof(graph->nodes[0]));
	graph->nodes[at] = node;
	graph->num_nodes++;
	node->id = (int)at;
	return node;
}

void graph_take_place(struct graph_node *node, struct graph_node *from)
{
	node->origin = from->origin;
	node->attrs = from->attrs;
	node->num_attrs = from->num_attrs;
	from->attrs = NULL;
	from->num_attrs = 0;
}

int graph_set_input(struct graph_node *node, size_t index, struct graph_value *value)
{
	if (index >= node->num_inputs)
		return -EINVAL;
	if (value && add_use(value, node))
		return -ENOMEM;
	if (node->inputs[index])
		drop_use(node->inputs[index], node);
	node->inputs[index] = value;
	return 0;
}

int graph_replace_value(struct graph *graph, struct graph_value *from, struct graph_value *to)
{
	while (from->num_uses) {
		struct graph_node *node = from->uses[0];

		for (size_t i = 0; i < node->num_inputs; i++)
			if (node->inputs[i] == from) {
				int err = graph_set_input(node, i, to);

				if (err)
					return err;
			}
	}
	for (size_t i = 0; i < graph->num_outputs; i++)
		if (graph->outputs[i] == from) {
			/* The output keeps its name: the two values swap theirs. */
			const char *name = from->name;
			struct graph_private *priv = graph->priv;

			graph->outputs[i] = to;
			from->is_output = false;
			to->is_output = true;
			if (to->producer && !to->is_input) {
				*name_slot(priv->names, priv->names_size, name) = to;
				*name_slot(priv->names, priv->names_size, to->name) = from;
				from->name = to->name;
				to->name = name;
			}
		}
	return 0;
}

int graph_remove_node(struct graph *graph, struct graph_node *node)
{
	size_t at;

	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] &&
		    (node->outputs[i]->num_uses || (node->outputs[i]->is_output && node->outputs[i]->producer == node)))
			return -EBUSY;
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i])
			drop_use(node->inputs[i], node);
	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] && node->outputs[i]->producer == node)
			node->outputs[i]->producer = NULL;
	for (at = 0; at < graph->num_nodes && graph->nodes[at] != node; at++)
		;
	if (at == graph->num_nodes)
		return -EINVAL;
	finish_attrs(node);
	node->attrs = NULL;
	node->num_attrs = 0;
	memmove(&graph->nodes[at], &graph->nodes[at + 1], (graph->num_nodes - at - 1) * sizeof(graph->nodes[0]));
	graph->num_nodes--;
	return 0;
}

/* ---- bodies ---- */

struct graph *graph_node_body(const struct graph_node *node, size_t i)
{
	return node->attrs[i].type == ATTR_GRAPH ? node->attrs[i].graph : NULL;
}

bool graph_has_body(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_attrs; i++)
		if (graph_node_body(node, i))
			return true;
	return false;
}

/* Index of @from among the captures of @node, where it is added when it is new. Negative errno. */
static int capture_index(struct graph *graph, struct graph_node *node, struct graph_value *from)
{
	struct graph_value **grown;

	for (size_t i = 0; i < node->num_captures; i++)
		if (graph_captured(node, i) == from)
			return (int)i;
	grown = graph_alloc(graph, (node->num_inputs + 2) * sizeof(*grown));
	if (!grown || add_use(from, node))
		return -ENOMEM;
	memcpy(grown, node->inputs, node->num_inputs * sizeof(*grown));
	grown[node->num_inputs++] = from;
	node->inputs = grown;
	return (int)node->num_captures++;
}

int graph_add_capture(struct graph_node *node, struct graph *body, struct graph_value *value, struct graph_value *from)
{
	struct graph_capture *grown = realloc(body->captures, (body->num_captures + 1) * sizeof(*grown));
	int index;

	if (!grown)
		return -ENOMEM;
	body->captures = grown;
	index = capture_index(body->outer, node, from);
	if (index < 0)
		return index;
	body->captures[body->num_captures++] = (struct graph_capture){value, (size_t)index};
	value->is_input = true;
	return 0;
}

/* Kahn's algorithm; among ready nodes the one that came first before goes first. */
int graph_sort(struct graph *graph)
{
	struct graph_node **sorted = malloc((graph->num_nodes + 1) * sizeof(*sorted));
	size_t count = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < graph->num_nodes; i++)
		graph->nodes[i]->id = -1;
	for (bool moved = true; moved && count < graph->num_nodes;) {
		moved = false;
		for (size_t i = 0; i < graph->num_nodes; i++) {
			struct graph_node *node = graph->nodes[i];
			bool ready = node->id < 0;

			for (size_t k = 0; k < node->num_inputs && ready; k++)
				ready = !node->inputs[k] || !node->inputs[k]->producer ||
					node->inputs[k]->producer->id >= 0;
			if (ready) {
				node->id = (int)count;
				sorted[count++] = node;
				moved = true;
			}
		}
	}
	if (count < graph->num_nodes) {
		free(sorted);
		return -ELOOP;
	}
	if (count)
		memcpy(graph->nodes, sorted, count * sizeof(*sorted));
	free(sorted);
	return 0;
}

/* ---- attributes ---- */

static struct attr *attr_slot(struct graph *graph, struct graph_node *node, const char *name)
{
	struct attr *grown;

	for (size_t i = 0; i < node->num_attrs; i++)
		if (!strcmp(node->attrs[i].name, name))
			return &node->attrs[i];
	grown = realloc(node->attrs, (node->num_attrs + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	node->attrs = grown;
	grown = &node->attrs[node->num_attrs];
	memset(grown, 0, sizeof(*grown));
	grown->name = graph_intern(graph, name);
	if (!grown->name)
		return NULL;
	node->num_attrs++;
	return grown;
}

int graph_node_set_int(struct graph *graph, struct graph_node *node, const char *name, int64_t value)
{
	struct attr *attr = attr_slot(graph, node, name);

	if (!attr)
		return -ENOMEM;
	attr->type = ATTR_INT;
	attr->i = value;
	return 0;
}

int graph_node_set_float(struct graph *graph, struct graph_node *node, const char *name, float value)
{
	struct attr *attr = attr_slot(graph, node, name);

	if (!attr)
		return -ENOMEM;
	attr->type = ATTR_FLOAT;
	attr->f = value;
	return 0;
}

int graph_node_set_string(struct graph *graph, struct graph_node *node, const char *name, const char *value)
{
	struct attr *attr = attr_slot(graph, node, name);
	const char *copy = graph_intern(graph, value);

	if (!attr || !copy)
		return -ENOMEM;
	attr->type = ATTR_STRING;
	attr->s = (struct tensor_string){(char *)(uintptr_t)copy, strlen(value)};
	attr->count = attr->s.size;
	return 0;
}

int graph_node_set_ints(struct graph *graph, struct graph_node *node, const char *name, size_t count,
			const int64_t *values)
{
	struct attr *attr = attr_slot(graph, node, name);
	int64_t *copy = graph_alloc(graph, (count + 1) * sizeof(*copy));

	if (!attr || !copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, values, count * sizeof(*copy));
	attr->type = ATTR_INTS;
	attr->count = count;
	attr->ints = copy;
	return 0;
}

int graph_node_set_floats(struct graph *graph, struct graph_node *node, const char *name, size_t count,
			  const float *values)
{
	struct attr *attr = attr_slot(graph, node, name);
	float *copy = graph_alloc(graph, (count + 1) * sizeof(*copy));

	if (!attr || !copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, values, count * sizeof(*copy));
	attr->type = ATTR_FLOATS;
	attr->count = count;
	attr->floats = copy;
	return 0;
}

/* ---- reading ---- */

struct op_node graph_op_node(const struct graph_node *node)
{
	return (struct op_node){
		.name = node->name,
		.domain = node->domain,
		.op_type = node->op_type,
		.opset = node->opset,
		.num_attrs = node->num_attrs,
		.attrs = node->attrs,
		.num_inputs = node->num_inputs - node->num_captures,
		.num_outputs = node->num_outputs,
		.num_captures = node->num_captures,
	};
}

bool graph_node_is_in(const struct graph_node *node, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(node->op_type, names[i]))
			return true;
	return false;
}

bool graph_read_by(const struct graph_value *value, const char *const *names, size_t count)
{
	for (size_t u = 0; u < value->num_uses; u++)
		if (graph_node_is_in(value->uses[u], names, count))
			return true;
	return false;
}

bool graph_value_is_static(const struct graph_value *value)
{
	if (value->rank < 0)
		return false;
	for (int d = 0; d < value->rank; d++)
		if (value->dims[d] < 0)
			return false;
	return true;
}
