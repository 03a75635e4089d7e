// SPDX-License-Identifier: MIT
/*
 * Decision trees laid out and walked: see ml_ensemble.h.
 */
#include "runtime/cpu/ml_ensemble.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- layout ---- */

/* New indices are 32 bits; the last number stands for "none yet". */
#define UNPLACED UINT32_MAX

/* OPEN: on the path from the root to here. */
enum visit_state { UNSEEN, OPEN, DONE };

/*
 * A depth-first visit with a stack of its own, because trees of a malformed model may be as deep as the model is long.
 * @order: new index of each source node, @path: nodes between root and here, @stage: which child is next
 */
struct visit {
	const struct ensemble_source_node *nodes;
	size_t num_nodes;
	uint32_t *order;
	size_t *path;
	uint8_t *state, *stage;
	uint32_t next;
};

static int fail(char *error, size_t size, const struct ensemble_source_node *node, const char *what)
{
	snprintf(error, size, "node %lld of tree %lld %s", (long long)node->node_id, (long long)node->tree_id, what);
	return -EINVAL;
}

static int visit_tree(struct visit *v, size_t root, char *error, size_t error_size)
{
	size_t depth = 0;

	if (v->state[root] != UNSEEN)
		return 0;
	v->path[depth] = root;
	v->stage[depth++] = 0;
	v->state[root] = OPEN;
	v->order[root] = v->next++;
	while (depth) {
		size_t at = v->path[depth - 1], child;
		uint8_t stage = v->stage[depth - 1]++;

		if (v->nodes[at].mode == BRANCH_LEAF || stage == 2) {
			v->state[at] = DONE;
			depth--;
			continue;
		}
		child = stage ? v->nodes[at].no : v->nodes[at].yes;
		if (child >= v->num_nodes)
			return fail(error, error_size, &v->nodes[at], "has a child that does not exist");
		if (v->state[child] == OPEN)
			return fail(error, error_size, &v->nodes[child], "is below itself: the tree has a cycle");
		if (v->state[child] != UNSEEN)
			continue;
		v->state[child] = OPEN;
		v->order[child] = v->next++;
		v->path[depth] = child;
		v->stage[depth++] = 0;
	}
	return 0;
}

static int check_node(const struct ensemble *e, const struct ensemble_source_node *node, char *error, size_t size)
{
	if (node->mode == BRANCH_LEAF)
		return node->leaf_first + node->leaf_count <= e->num_votes
			       ? 0
			       : fail(error, size, node, "has votes that do not exist");
	if (node->feature < 0 || node->feature >= ENSEMBLE_FEATURE_MASK)
		return fail(error, size, node, "reads a feature that is out of range");
	if (node->mode == BRANCH_MEMBER && node->set >= e->num_sets)
		return fail(error, size, node, "has no set of members");
	return 0;
}

static void place_node(struct ensemble *e, const struct ensemble_source_node *node, uint32_t at, const uint32_t *order)
{
	bool leaf = node->mode == BRANCH_LEAF, member = node->mode == BRANCH_MEMBER;
	uint32_t feature = (uint32_t)node->mode << ENSEMBLE_MODE_SHIFT |
			   (leaf ? 0 : (uint32_t)node->feature | (node->missing_yes ? ENSEMBLE_MISSING_YES : 0));
	uint32_t yes = leaf ? (uint32_t)node->leaf_first : order[node->yes];
	uint32_t no = leaf ? (uint32_t)node->leaf_count : order[node->no];
	/* A set's index is exact in a float: ensemble_lay_out() allows 2^24 of them. */
	double value = member ? (double)node->set : node->value;

	if (e->wide)
		e->nodes_f64[at] = (struct ensemble_node_f64){value, feature, yes, no};
	else
		e->nodes_f32[at] = (struct ensemble_node_f32){(float)value, feature, yes, no};
	if (leaf)
		return;
	if (node->feature >= e->features)
		e->features = node->feature + 1;
	if (e->uniform == BRANCH_LEAF)
		return;
	/* The first branch says which mode; BRANCH_MEMBER is never uniform. */
	if (member || (e->uniform != node->mode && e->uniform != BRANCH_MEMBER))
		e->uniform = BRANCH_LEAF;
	else
		e->uniform = node->mode;
}

static int place_nodes(struct ensemble *e, const struct visit *v, const size_t *roots, char *error, size_t error_size)
{
	size_t size = e->wide ? sizeof(*e->nodes_f64) : sizeof(*e->nodes_f32);
	void *memory = aligned_alloc(64, ((v->next + 1) * size + 63) / 64 * 64);

	e->roots = calloc(e->num_trees + 1, sizeof(*e->roots));
	*(e->wide ? (void **)&e->nodes_f64 : (void **)&e->nodes_f32) = memory;
	if (!memory || !e->roots)
		return -ENOMEM;
	e->num_nodes = v->next;
	e->uniform = BRANCH_MEMBER;
	for (size_t i = 0; i < v->num_nodes; i++) {
		int err = v->order[i] == UNPLACED ? 0 : check_node(e, &v->nodes[i], error, error_size);

		if (err)
			return err;
		if (v->order[i] != UNPLACED)
			place_node(e, &v->nodes[i], v->order[i], v->order);
	}
	for (size_t t = 0; t < e->num_trees; t++)
		e->roots[t] = v->order[roots[t]];
	return 0;
}

int ensemble_lay_out(struct ensemble *ensemble, const struct ensemble_source_node *nodes, size_t num_nodes,
		     const size_t *roots, size_t num_roots, char *error, size_t error_size)
{
	struct visit v = {.nodes = nodes, .num_nodes = num_nodes};
	int err = 0;

	if (num_nodes >= UNPLACED || ensemble->num_votes >= UINT32_MAX || ensemble->num_sets >= 1u << 24) {
		snprintf(error, error_size, "%zu nodes and %zu votes are too many", num_nodes, ensemble->num_votes);
		return -EINVAL;
	}
	v.order = malloc((num_nodes + 1) * sizeof(*v.order));
	v.state = calloc(num_nodes + 1, sizeof(*v.state));
	v.path = malloc((num_nodes + 1) * sizeof(*v.path));
	v.stage = malloc((num_nodes + 1) * sizeof(*v.stage));
	if (!v.order || !v.state || !v.path || !v.stage)
		err = -ENOMEM;
	for (size_t i = 0; i < num_nodes && !err; i++)
		v.order[i] = UNPLACED;
	for (size_t t = 0; t < num_roots && !err; t++) {
		if (roots[t] >= num_nodes) {
			snprintf(error, error_size, "the root of tree %zu does not exist", t);
			err = -EINVAL;
		} else {
			err = visit_tree(&v, roots[t], error, error_size);
		}
	}
	ensemble->num_trees = num_roots;
	if (!err)
		err = place_nodes(ensemble, &v, roots, error, error_size);
	free(v.order);
	free(v.state);
	free(v.path);
	free(v.stage);
	return err;
}

void ensemble_finish(struct ensemble *e)
{
	for (size_t i = 0; e->sets && i < e->num_sets; i++)
		free(e->sets[i].members);
	free(e->nodes_f32);
	free(e->nodes_f64);
	free(e->roots);
	free(e->votes);
	free(e->sets);
	*e = (struct ensemble){0};
}

/* ---- walk ---- */

static bool is_member(const struct ensemble_set *set, double x)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->members[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->members[low] == x;
}

/* The leaf's votes to the sums of @row. */
static void cast_votes(const struct ensemble *e, uint32_t first, uint32_t count, int64_t row, double *sums,
		       uint8_t *voted)
{
	sums += row * e->num_targets;
	voted = voted ? voted + row * e->num_targets : NULL;
	for (const struct ensemble_vote *vote = e->votes + first; count--; vote++) {
		double *sum = sums + vote->target;
		bool fresh = voted && !voted[vote->target];

		if (e->aggregate == AGGREGATE_MIN && !fresh)
			*sum = vote->weight < *sum ? vote->weight : *sum;
		else if (e->aggregate == AGGREGATE_MAX && !fresh)
			*sum = vote->weight > *sum ? vote->weight : *sum;
		else
			*sum += vote->weight;
		if (voted)
			voted[vote->target] = 1;
	}
}

/* Rows that are walked side by side. */
#define WALK_ROWS 8

/* NaN fails every comparison but "not equal"; ENSEMBLE_MISSING_YES makes it succeed. */
#define DEFINE_WALK(T, name)                                                                                                  \
	static bool says_yes_##name(const struct ensemble *e, uint32_t mode, T x, T value)                                    \
	{                                                                                                                     \
		switch (mode) {                                                                                               \
		case BRANCH_LEQ:                                                                                              \
			return x <= value;                                                                                    \
		case BRANCH_LT:                                                                                               \
			return x < value;                                                                                     \
		case BRANCH_GTE:                                                                                              \
			return x >= value;                                                                                    \
		case BRANCH_GT:                                                                                               \
			return x > value;                                                                                     \
		case BRANCH_EQ:                                                                                               \
			return x == value;                                                                                    \
		case BRANCH_NEQ:                                                                                              \
			return x != value;                                                                                    \
		default:                                                                                                      \
			return is_member(&e->sets[(size_t)value], (double)x);                                                 \
		}                                                                                                             \
	}                                                                                                                     \
                                                                                                                              \
	/* To the leaf of one row. */                                                                                         \
	static const struct ensemble_node_##name *leaf_##name(const struct ensemble *e, uint32_t root, const T *x)            \
	{                                                                                                                     \
		const struct ensemble_node_##name *nodes = e->nodes_##name, *node = nodes + root;                             \
                                                                                                                              \
		while (node->feature >> ENSEMBLE_MODE_SHIFT != BRANCH_LEAF) {                                                 \
			uint32_t feature = node->feature;                                                                     \
			T value = x[feature & ENSEMBLE_FEATURE_MASK];                                                         \
			bool yes = says_yes_##name(e, feature >> ENSEMBLE_MODE_SHIFT, value, node->value) ||                  \
				   (feature & ENSEMBLE_MISSING_YES && isnan(value));                                          \
                                                                                                                              \
			node = nodes + (yes ? node->yes : node->no);                                                          \
		}                                                                                                             \
		return node;                                                                                                  \
	}                                                                                                                     \
                                                                                                                              \
	/* The same for WALK_ROWS rows side by side, where every branch is "at most". Which way is arithmetic, not a jump. */ \
	static void leaves_leq_##name(const struct ensemble *e, uint32_t root, const T *x, int64_t stride,                    \
				      uint32_t *leaf)                                                                         \
	{                                                                                                                     \
		const struct ensemble_node_##name *nodes = e->nodes_##name;                                                   \
		uint32_t moved = 1;                                                                                           \
                                                                                                                              \
		for (int r = 0; r < WALK_ROWS; r++)                                                                           \
			leaf[r] = root;                                                                                       \
		while (moved) {                                                                                               \
			moved = 0;                                                                                            \
			for (int r = 0; r < WALK_ROWS; r++) {                                                                 \
				const struct ensemble_node_##name *node = &nodes[leaf[r]];                                    \
				/* A leaf reads feature 0, which is there, and stays. */                                      \
				T value = x[r * stride + (node->feature & ENSEMBLE_FEATURE_MASK)];                            \
				uint32_t branch = node->feature >> ENSEMBLE_MODE_SHIFT != BRANCH_LEAF;                        \
				uint32_t missing = (node->feature & ENSEMBLE_MISSING_YES) != 0;                               \
				uint32_t yes =                                                                                \
					(uint32_t)(value <= node->value) | (missing & (uint32_t)(value != value));            \
				uint32_t next = node->no ^ ((node->yes ^ node->no) & -yes);                                   \
                                                                                                                              \
				leaf[r] ^= (leaf[r] ^ next) & -branch;                                                        \
				moved |= branch;                                                                              \
			}                                                                                                     \
		}                                                                                                             \
	}                                                                                                                     \
                                                                                                                              \
	static void walk_##name(const struct ensemble *e, uint32_t root, const T *x, int64_t rows, int64_t stride,            \
				double *sums, uint8_t *voted)                                                                 \
	{                                                                                                                     \
		const struct ensemble_node_##name *nodes = e->nodes_##name, *node;                                            \
		uint32_t leaf[WALK_ROWS];                                                                                     \
		int64_t row = 0;                                                                                              \
                                                                                                                              \
		for (; e->uniform == BRANCH_LEQ && e->features && row + WALK_ROWS <= rows; row += WALK_ROWS) {                \
			leaves_leq_##name(e, root, x + row * stride, stride, leaf);                                           \
			for (int r = 0; r < WALK_ROWS; r++)                                                                   \
				cast_votes(e, nodes[leaf[r]].yes, nodes[leaf[r]].no, row + r, sums, voted);                   \
		}                                                                                                             \
		for (; row < rows; row++) {                                                                                   \
			node = leaf_##name(e, root, x + row * stride);                                                        \
			cast_votes(e, node->yes, node->no, row, sums, voted);                                                 \
		}                                                                                                             \
	}

DEFINE_WALK(float, f32)
DEFINE_WALK(double, f64)

/* Tree by tree over all rows, so that a tree's nodes stay in the cache. */
void ensemble_walk(const struct ensemble *e, const void *x, int64_t rows, int64_t stride, double *sums, uint8_t *voted)
{
	for (size_t t = 0; t < e->num_trees; t++)
		if (e->wide)
			walk_f64(e, e->roots[t], x, rows, stride, sums, voted);
		else
			walk_f32(e, e->roots[t], x, rows, stride, sums, voted);
}
