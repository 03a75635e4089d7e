/* SPDX-License-Identifier: MIT */
/*
 * Softmax(Q K^T * scale + mask) V as one Attention node (ONNX Operators, Attention-23).
 *
 * Where Q, K and V come from rows of all heads, [B][S][H * D] reshaped and transposed, and the result goes back to such
 * rows, the node takes the rows themselves: it knows where a head lies.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "compiler/fuse/pattern.h"
#include "compiler/fuse/transformer.h"

/*
 * struct match - the pattern's parts
 * @q, @k, @v: [B][H][S][D]; @mask: NULL for none
 * @rows: q, k, v, y as [B][S][H * D], when they come and go so
 */
struct match {
	struct graph_node *softmax, *scores, *last;
	struct graph_value *q, *k, *v, *mask;
	struct graph_value *rows[3];
	struct graph_node *joined;
	double scale;
};

static bool has_perm(const struct graph_node *node, int64_t a, int64_t b, int64_t c, int64_t d)
{
	const int64_t wanted[] = {a, b, c, d}, *perm;
	struct op_node op;

	if (!is_op(node, "Transpose"))
		return false;
	op = graph_op_node(node);
	return op_attr_ints(&op, "perm", &perm) == 4 && !memcmp(perm, wanted, sizeof(wanted));
}

/* Times a number, or divided by one: what is under it, and the factor. */
static struct graph_value *without_scale(struct graph_value *value, double *scale)
{
	double factor;
	struct graph_value *inner = only_reader(value) ? without_factor(value, &factor) : NULL;

	if (!inner)
		return value;
	*scale *= factor;
	return inner;
}

/* It broadcasts to [B][H][Q][K], and its last axis is whole: a short one would hide keys. */
static bool is_mask(const struct graph_value *mask, const struct graph_value *scores)
{
	if (!graph_value_is_static(mask) || mask->rank < 2 || mask->rank > 4 || mask->dtype != scores->dtype ||
	    mask->dims[mask->rank - 1] != scores->dims[3])
		return false;
	for (int d = 0; d < mask->rank; d++) {
		int64_t size = scores->dims[4 - mask->rank + d];

		if (mask->dims[d] != size && mask->dims[d] != 1)
			return false;
	}
	return true;
}

/* What @transpose transposes, when that is [B][S][H * D] reshaped to [B][S][H][D]: those rows, else NULL. */
static struct graph_value *split_rows(const struct graph_node *transpose)
{
	const struct graph_value *split = transpose->inputs[0], *rows;
	struct graph_node *reshape = split->producer;

	if (!is_op(reshape, "Reshape") || !graph_value_is_static(split) || split->rank != 4)
		return NULL;
	rows = reshape->inputs[0];
	if (!graph_value_is_static(rows) || rows->rank != 3 || rows->dims[0] != split->dims[0] ||
	    rows->dims[1] != split->dims[1] || rows->dims[2] != split->dims[2] * split->dims[3])
		return NULL;
	return reshape->inputs[0];
}

/* [B][H][S][D] that is [B][S][H * D] reshaped and transposed: those rows, else NULL. */
static struct graph_value *rows_of(const struct graph_value *heads)
{
	return has_perm(heads->producer, 0, 2, 1, 3) ? split_rows(heads->producer) : NULL;
}

/* The rows behind transposed keys [B][H][D][S], else NULL; *keys gets [B][H][S][D] where that is a value. */
static struct graph_value *key_rows(const struct graph_value *transposed, struct graph_value **keys)
{
	struct graph_node *transpose = transposed->producer;

	*keys = NULL;
	if (has_perm(transpose, 0, 1, 3, 2)) {
		*keys = transpose->inputs[0];
		return rows_of(*keys);
	}
	return has_perm(transpose, 0, 2, 3, 1) ? split_rows(transpose) : NULL;
}

/* The Reshape to rows behind @last and a Transpose, or NULL. */
static struct graph_node *joined_rows(const struct graph_node *last)
{
	struct graph_node *transpose = only_reader(last->outputs[0]), *reshape;
	const struct graph_value *heads = last->outputs[0], *rows;

	if (!has_perm(transpose, 0, 2, 1, 3))
		return NULL;
	reshape = only_reader(transpose->outputs[0]);
	if (!is_op(reshape, "Reshape") || reshape->inputs[0] != transpose->outputs[0])
		return NULL;
	rows = reshape->outputs[0];
	return graph_value_is_static(rows) && rows->rank == 3 && rows->dims[0] == heads->dims[0] &&
			       rows->dims[1] == heads->dims[2] && rows->dims[2] == heads->dims[1] * heads->dims[3]
		       ? reshape
		       : NULL;
}

static bool last_axis(const struct graph_node *softmax)
{
	struct op_node op = graph_op_node(softmax);
	int64_t axis = op_attr_int(&op, "axis", softmax->opset < 13 ? 1 : -1);

	/* Before opset 13 everything from the axis on is one dimension: with the last it is the same. */
	return axis == -1 || axis == 3;
}

static bool match_scores(struct match *match)
{
	struct graph_value *value = match->softmax->inputs[0];
	struct graph_node *add = value->producer;

	match->mask = NULL;
	match->scale = 1;
	if (is_op(add, "Add") && only_reader(value)) {
		for (size_t i = 0; i < 2 && !match->mask; i++) {
			double unused = 1;
			const struct graph_value *scores = without_scale(add->inputs[i], &unused);

			if (is_op(scores->producer, "MatMul") && is_mask(add->inputs[1 - i], value)) {
				match->mask = add->inputs[1 - i];
				value = add->inputs[i];
			}
		}
		if (!match->mask)
			return false;
	}
	value = without_scale(value, &match->scale);
	match->scores = value->producer;
	return is_op(match->scores, "MatMul") && only_reader(value);
}

static bool match_attention(struct graph_node *softmax, struct match *match)
{
	const struct graph_value *scores = softmax->inputs[0];
	struct graph_value *keys, *transposed;

	memset(match, 0, sizeof(*match));
	match->softmax = softmax;
	if (!graph_value_is_static(scores) || scores->rank != 4 || scores->dtype != DTYPE_F32 || !last_axis(softmax))
		return false;
	match->last = only_reader(softmax->outputs[0]);
	if (!is_op(match->last, "MatMul") || match->last->inputs[0] != softmax->outputs[0] || !match_scores(match))
		return false;
	match->v = match->last->inputs[1];
	match->q = without_scale(match->scores->inputs[0], &match->scale);
	transposed = without_scale(match->scores->inputs[1], &match->scale);
	if (!graph_value_is_static(match->q) || !graph_value_is_static(match->v) ||
	    !graph_value_is_static(transposed) || match->q->rank != 4 || match->v->rank != 4 || transposed->rank != 4 ||
	    match->q->dims[0] != match->v->dims[0] || match->q->dims[1] != match->v->dims[1] ||
	    transposed->dims[0] != match->v->dims[0] || transposed->dims[1] != match->v->dims[1])
		return false;
	match->rows[1] = key_rows(transposed, &keys);
	match->rows[0] = rows_of(match->q);
	match->rows[2] = rows_of(match->v);
	match->joined = joined_rows(match->last);
	match->k = keys;
	return (match->rows[0] && match->rows[1] && match->rows[2] && match->joined) || match->k;
}

static int replace_attention(struct graph *graph, const struct match *match)
{
	bool rows = match->rows[0] && match->rows[1] && match->rows[2] && match->joined;
	struct graph_value *inputs[4] = {match->q, match->k, match->v, match->mask};
	int64_t heads = match->q->dims[1];
	struct graph_node *node;

	if (rows)
		memcpy(inputs, match->rows, sizeof(match->rows));
	node = replace_with(graph, rows ? match->joined : match->last, "", "Attention", 23, match->mask ? 4 : 3, inputs,
			    3, (struct graph_node *[]){match->scores, match->softmax, match->last});
	if (!node || graph_node_set_float(graph, node, "scale", (float)match->scale))
		return -ENOMEM;
	if (rows && (graph_node_set_int(graph, node, "q_num_heads", heads) ||
		     graph_node_set_int(graph, node, "kv_num_heads", heads)))
		return -ENOMEM;
	return 0;
}

int fuse_attention(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct match match;

		if (!is_op(graph->nodes[n], "Softmax") || *graph->nodes[n]->domain ||
		    !match_attention(graph->nodes[n], &match))
			continue;
		if (replace_attention(graph, &match))
			return -ENOMEM;
		n = (size_t)-1;
	}
	return graph_sort(graph);
}
