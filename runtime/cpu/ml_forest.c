// SPDX-License-Identifier: MIT
/*
 * The attributes of the three tree operators (ONNX, Operators-ml.md) as nodes, votes and sets: see ml_forest.h.
 */
#include "runtime/cpu/ml_forest.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct forest *forest, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct forest *forest, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(forest->error, sizeof(forest->error), format, args);
	va_end(args);
	return -EINVAL;
}

/* Numbers of an attribute that is a list of floats, or a tensor. */
struct numbers {
	const float *floats;
	const struct tensor *tensor;
	size_t count;
	const char *name;
};

static double number(const struct numbers *numbers, size_t i)
{
	return numbers->floats ? (double)numbers->floats[i] : tensor_get_f64(numbers->tensor, (int64_t)i);
}

/* @list may be NULL. A tensor must be of a floating type. */
static int read_numbers(struct forest *forest, const struct op_node *node, const char *list, const char *tensor,
			struct numbers *numbers)
{
	const struct attr *attr = op_attr(node, tensor);

	*numbers = (struct numbers){.name = list ? list : tensor};
	if (list)
		numbers->count = op_attr_floats(node, list, &numbers->floats);
	if (!attr || attr->type != ATTR_TENSOR || !tensor_count(attr->tensor))
		return 0;
	if (numbers->count)
		return fail(forest, "attributes %s and %s are both there", list, tensor);
	if (!dtype_is_float(attr->tensor->dtype))
		return fail(forest, "attribute %s has elements of type %s", tensor, dtype_name(attr->tensor->dtype));
	numbers->tensor = attr->tensor;
	numbers->name = tensor;
	numbers->count = (size_t)tensor_count(attr->tensor);
	return 0;
}

static bool is_wide(const struct numbers *numbers)
{
	return numbers->tensor && numbers->tensor->dtype == DTYPE_F64;
}

/* An attribute that is a list of integers, of @count unless it may be absent and is. */
static int read_ints(struct forest *forest, const struct op_node *node, const char *name, size_t count, bool optional,
		     const int64_t **values)
{
	size_t has = op_attr_ints(node, name, values);

	if (has == count || (optional && !has))
		return 0;
	return has ? fail(forest, "attribute %s has %zu entries, expected %zu", name, has, count)
		   : fail(forest, "attribute %s is missing", name);
}

static int read_base(struct forest *forest, const struct op_node *node)
{
	struct numbers base;
	size_t targets = (size_t)forest->ensemble.num_targets;
	int err = read_numbers(forest, node, "base_values", "base_values_as_tensor", &base);

	if (err || !base.count)
		return err;
	if (base.count != targets && !(forest->classifier && targets == 2 && base.count == 1))
		return fail(forest, "attribute %s has %zu entries for %zu targets", base.name, base.count, targets);
	forest->base = calloc(base.count, sizeof(*forest->base));
	if (!forest->base)
		return -ENOMEM;
	forest->num_base = base.count;
	for (size_t i = 0; i < base.count; i++)
		forest->base[i] = number(&base, i);
	return 0;
}

static int read_aggregate(struct forest *forest, const struct op_node *node)
{
	static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};

	for (size_t i = 0; i < 4; i++)
		if (op_attr_is(node, "aggregate_function", "SUM", names[i])) {
			forest->ensemble.aggregate = (enum aggregate)i;
			return 0;
		}
	return fail(forest, "attribute aggregate_function is none of AVERAGE, SUM, MIN and MAX");
}

/* ---- the list form: nodes known by tree and node id ---- */

/* Where a node or a vote is: key of the tables below. */
struct place {
	int64_t tree, node;
	size_t index;
};

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->tree != b->tree)
		return a->tree < b->tree ? -1 : 1;
	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* The first of @count sorted places that is not before (tree, node), or @count. */
static size_t first_place(const struct place *places, size_t count, int64_t tree, int64_t node)
{
	struct place key = {tree, node, 0};
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(&places[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * struct list_form - the attributes, and tables made of them
 * @places: nodes by (tree, node); @votes: votes by the same
 * @has_parent: by node
 */
struct list_form {
	const int64_t *trees, *ids, *features, *yes, *no, *missing;
	const struct tensor_string *modes;
	struct numbers values, weights;
	const int64_t *vote_trees, *vote_nodes, *vote_targets;
	size_t num_nodes, num_votes, num_roots;
	struct place *places, *votes;
	struct ensemble_source_node *nodes;
	size_t *roots;
	uint8_t *has_parent;
};

static int read_list(struct forest *forest, const struct op_node *node, struct list_form *f)
{
	const char *prefix = forest->classifier ? "class" : "target";
	char names[4][32];
	int err = read_numbers(forest, node, "nodes_values", "nodes_values_as_tensor", &f->values);

	f->num_nodes = op_attr_strings(node, "nodes_modes", &f->modes);
	if (!err && !f->num_nodes)
		err = fail(forest, "attribute nodes_modes is missing");
	if (!err && f->values.count != f->num_nodes)
		err = fail(forest, "attribute %s has %zu entries, nodes_modes has %zu", f->values.name, f->values.count,
			   f->num_nodes);
	if (!err)
		err = read_ints(forest, node, "nodes_treeids", f->num_nodes, false, &f->trees);
	if (!err)
		err = read_ints(forest, node, "nodes_nodeids", f->num_nodes, false, &f->ids);
	if (!err)
		err = read_ints(forest, node, "nodes_featureids", f->num_nodes, false, &f->features);
	if (!err)
		err = read_ints(forest, node, "nodes_truenodeids", f->num_nodes, false, &f->yes);
	if (!err)
		err = read_ints(forest, node, "nodes_falsenodeids", f->num_nodes, false, &f->no);
	if (!err)
		err = read_ints(forest, node, "nodes_missing_value_tracks_true", f->num_nodes, true, &f->missing);
	for (int i = 0; i < 4; i++) {
		static const char *const suffixes[] = {"treeids", "nodeids", "ids", "weights"};

		snprintf(names[i], sizeof(names[i]), "%s_%s", prefix, suffixes[i]);
	}
	if (!err)
		err = read_numbers(forest, node, names[3],
				   forest->classifier ? "class_weights_as_tensor" : "target_weights_as_tensor",
				   &f->weights);
	f->num_votes = f->weights.count;
	if (!err && !f->num_votes)
		err = fail(forest, "attribute %s is missing", names[3]);
	if (!err)
		err = read_ints(forest, node, names[0], f->num_votes, false, &f->vote_trees);
	if (!err)
		err = read_ints(forest, node, names[1], f->num_votes, false, &f->vote_nodes);
	if (!err)
		err = read_ints(forest, node, names[2], f->num_votes, false, &f->vote_targets);
	return err;
}

static int read_mode(struct forest *forest, const struct list_form *f, size_t i, enum branch_mode *mode)
{
	static const struct {
		const char *name;
		enum branch_mode mode;
	} names[] = {{"LEAF", BRANCH_LEAF},      {"BRANCH_LEQ", BRANCH_LEQ}, {"BRANCH_LT", BRANCH_LT},
		     {"BRANCH_GTE", BRANCH_GTE}, {"BRANCH_GT", BRANCH_GT},   {"BRANCH_EQ", BRANCH_EQ},
		     {"BRANCH_NEQ", BRANCH_NEQ}};
	const struct tensor_string *s = &f->modes[i];

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		if (s->size == strlen(names[n].name) && !memcmp(s->data, names[n].name, s->size)) {
			*mode = names[n].mode;
			return 0;
		}
	return fail(forest, "node %lld of tree %lld has the mode %.*s, which does not exist", (long long)f->ids[i],
		    (long long)f->trees[i], (int)(s->size < 40 ? s->size : 40), s->data ? s->data : "");
}

static bool has_place(const struct list_form *f, int64_t tree, int64_t node)
{
	size_t at = first_place(f->places, f->num_nodes, tree, node);

	return at < f->num_nodes && f->places[at].tree == tree && f->places[at].node == node;
}

static int find_child(struct forest *forest, struct list_form *f, size_t parent, int64_t id, size_t *child)
{
	if (!has_place(f, f->trees[parent], id))
		return fail(forest, "node %lld of tree %lld has the child %lld, which does not exist",
			    (long long)f->ids[parent], (long long)f->trees[parent], (long long)id);
	*child = f->places[first_place(f->places, f->num_nodes, f->trees[parent], id)].index;
	f->has_parent[*child] = 1;
	return 0;
}

static int make_list_node(struct forest *forest, struct list_form *f, size_t i)
{
	struct ensemble_source_node *node = &f->nodes[i];
	int err = read_mode(forest, f, i, &node->mode);

	if (err)
		return err;
	node->tree_id = f->trees[i];
	node->node_id = f->ids[i];
	if (node->mode == BRANCH_LEAF) {
		size_t end;

		node->leaf_first = end = first_place(f->votes, f->num_votes, f->trees[i], f->ids[i]);
		while (end < f->num_votes && f->votes[end].tree == f->trees[i] && f->votes[end].node == f->ids[i])
			end++;
		node->leaf_count = end - node->leaf_first;
		return 0;
	}
	node->missing_yes = f->missing && f->missing[i];
	node->feature = f->features[i];
	node->value = number(&f->values, i);
	err = find_child(forest, f, i, f->yes[i], &node->yes);
	return err ? err : find_child(forest, f, i, f->no[i], &node->no);
}

/* Votes in the order of their leaves. A vote for a node that is no leaf counts for nothing, as in ONNX Runtime. */
static int make_votes(struct forest *forest, const struct list_form *f)
{
	struct ensemble *e = &forest->ensemble;
	bool seen[2] = {false, false};

	e->votes = calloc(f->num_votes, sizeof(*e->votes));
	if (!e->votes)
		return -ENOMEM;
	e->num_votes = f->num_votes;
	forest->all_positive = true;
	for (size_t i = 0; i < f->num_votes; i++) {
		size_t from = f->votes[i].index;
		int64_t target = f->vote_targets[from];

		if (target < 0 || target >= e->num_targets)
			return fail(forest, "vote %zu is for %s %lld of %lld", from,
				    forest->classifier ? "class" : "target", (long long)target,
				    (long long)e->num_targets);
		if (!has_place(f, f->votes[i].tree, f->votes[i].node))
			return fail(forest, "vote %zu is of node %lld of tree %lld, which does not exist", from,
				    (long long)f->votes[i].node, (long long)f->votes[i].tree);
		e->votes[i].target = (uint32_t)target;
		e->votes[i].weight = number(&f->weights, from);
		forest->all_positive &= e->votes[i].weight >= 0;
		seen[target > 0] = true;
	}
	forest->one_sided = forest->classifier && e->num_targets == 2 && seen[0] != seen[1];
	forest->sole_class = seen[1];
	return 0;
}

/* The first node listed of each tree, as in ONNX Runtime; it can not be another's child. Nodes off the tree count for nothing. */
static int find_roots(struct forest *forest, struct list_form *f)
{
	for (size_t i = 0; i < f->num_nodes;) {
		size_t end = i, root = SIZE_MAX;

		for (; end < f->num_nodes && f->places[end].tree == f->places[i].tree; end++)
			root = f->places[end].index < root ? f->places[end].index : root;
		if (f->has_parent[root])
			return fail(
				forest,
				"node %lld of tree %lld, listed first, is a child: the tree has no root, or a cycle",
				(long long)f->ids[root], (long long)f->trees[root]);
		f->roots[f->num_roots++] = root;
		i = end;
	}
	return 0;
}

static int sort_places(struct forest *forest, struct list_form *f)
{
	f->places = calloc(f->num_nodes + 1, sizeof(*f->places));
	f->votes = calloc(f->num_votes + 1, sizeof(*f->votes));
	f->nodes = calloc(f->num_nodes + 1, sizeof(*f->nodes));
	f->roots = calloc(f->num_nodes + 1, sizeof(*f->roots));
	f->has_parent = calloc(f->num_nodes + 1, 1);
	if (!f->places || !f->votes || !f->nodes || !f->roots || !f->has_parent)
		return -ENOMEM;
	for (size_t i = 0; i < f->num_nodes; i++)
		f->places[i] = (struct place){f->trees[i], f->ids[i], i};
	for (size_t i = 0; i < f->num_votes; i++)
		f->votes[i] = (struct place){f->vote_trees[i], f->vote_nodes[i], i};
	qsort(f->places, f->num_nodes, sizeof(*f->places), compare_places);
	qsort(f->votes, f->num_votes, sizeof(*f->votes), compare_places);
	for (size_t i = 1; i < f->num_nodes; i++)
		if (f->places[i].tree == f->places[i - 1].tree && f->places[i].node == f->places[i - 1].node)
			return fail(forest, "tree %lld has two nodes %lld", (long long)f->places[i].tree,
				    (long long)f->places[i].node);
	return 0;
}

/* Targets: the classifier's labels, the regressor's attribute. */
static int count_targets(struct forest *forest, const struct op_node *node)
{
	const struct tensor_string *strings;
	const int64_t *ints;

	if (forest->classifier)
		forest->ensemble.num_targets = (int64_t)(op_attr_strings(node, "classlabels_strings", &strings) +
							 op_attr_ints(node, "classlabels_int64s", &ints));
	else
		forest->ensemble.num_targets = op_attr_int(node, "n_targets", 0);
	if (forest->ensemble.num_targets >= 1 && forest->ensemble.num_targets < INT32_MAX)
		return 0;
	return fail(forest, forest->classifier ? "there are no class labels"
					       : "attribute n_targets is missing or not positive");
}

static int read_list_form(struct forest *forest, const struct op_node *node, bool wide)
{
	struct list_form f = {0};
	int err = count_targets(forest, node);

	if (!err && ml_post_find(node, &forest->post))
		err = fail(forest, "attribute post_transform is " ML_POST_RULE);
	forest->ensemble.aggregate = AGGREGATE_SUM;
	if (!err && !forest->classifier)
		err = read_aggregate(forest, node);
	if (!err)
		err = read_base(forest, node);
	if (!err)
		err = read_list(forest, node, &f);
	if (!err)
		err = sort_places(forest, &f);
	for (size_t i = 0; i < f.num_nodes && !err; i++)
		err = make_list_node(forest, &f, i);
	if (!err)
		err = make_votes(forest, &f);
	if (!err)
		err = find_roots(forest, &f);
	forest->ensemble.wide = wide || is_wide(&f.values);
	if (!err)
		err = ensemble_lay_out(&forest->ensemble, f.nodes, f.num_nodes, f.roots, f.num_roots, forest->error,
				       sizeof(forest->error));
	free(f.places);
	free(f.votes);
	free(f.nodes);
	free(f.roots);
	free(f.has_parent);
	return err;
}

/* ---- version 5: interior nodes and leaves known by position ---- */

/* @nodes: the interior nodes, then the leaves */
struct flat_form {
	const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *missing, *targets, *roots;
	const struct tensor *modes;
	struct numbers splits, weights, members;
	size_t num_nodes, num_leaves, num_roots;
	struct ensemble_source_node *nodes;
	size_t *root_places;
};

static int read_flat(struct forest *forest, const struct op_node *node, struct flat_form *f)
{
	const struct attr *modes = op_attr(node, "nodes_modes");
	int err = read_numbers(forest, node, NULL, "nodes_splits", &f->splits);

	if (!err)
		err = read_numbers(forest, node, NULL, "leaf_weights", &f->weights);
	if (!err)
		err = read_numbers(forest, node, NULL, "membership_values", &f->members);
	f->num_nodes = f->splits.count;
	f->num_leaves = f->weights.count;
	if (!err && (!f->num_nodes || !f->num_leaves))
		err = fail(forest, "attribute %s is missing", f->num_nodes ? "leaf_weights" : "nodes_splits");
	if (!err && (!modes || modes->type != ATTR_TENSOR || modes->tensor->dtype != DTYPE_U8 ||
		     tensor_count(modes->tensor) != (int64_t)f->num_nodes))
		err = fail(forest, "attribute nodes_modes is not a uint8 tensor of %zu elements, like nodes_splits",
			   f->num_nodes);
	f->modes = err ? NULL : modes->tensor;
	if (!err)
		err = read_ints(forest, node, "nodes_featureids", f->num_nodes, false, &f->features);
	if (!err)
		err = read_ints(forest, node, "nodes_truenodeids", f->num_nodes, false, &f->yes);
	if (!err)
		err = read_ints(forest, node, "nodes_falsenodeids", f->num_nodes, false, &f->no);
	if (!err)
		err = read_ints(forest, node, "nodes_trueleafs", f->num_nodes, false, &f->yes_leaf);
	if (!err)
		err = read_ints(forest, node, "nodes_falseleafs", f->num_nodes, false, &f->no_leaf);
	if (!err)
		err = read_ints(forest, node, "nodes_missing_value_tracks_true", f->num_nodes, true, &f->missing);
	if (!err)
		err = read_ints(forest, node, "leaf_targetids", f->num_leaves, false, &f->targets);
	f->num_roots = op_attr_ints(node, "tree_roots", &f->roots);
	if (!err && !f->num_roots)
		err = fail(forest, "attribute tree_roots is missing");
	return err;
}

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/* membership_values: the members of each set, in the order of the nodes that test one, each list ended by NaN. */
static int read_sets(struct forest *forest, const struct flat_form *f, size_t count)
{
	struct ensemble *e = &forest->ensemble;
	size_t at = 0;

	e->sets = calloc(count + 1, sizeof(*e->sets));
	if (!e->sets)
		return -ENOMEM;
	e->num_sets = count;
	for (size_t s = 0; s < count; s++) {
		size_t end = at;

		while (end < f->members.count && !isnan(number(&f->members, end)))
			end++;
		if (end == f->members.count)
			return fail(forest,
				    "attribute membership_values ends before the set of membership node %zu of %zu", s,
				    count);
		e->sets[s].members = calloc(end - at + 1, sizeof(double));
		if (!e->sets[s].members)
			return -ENOMEM;
		for (; at < end; at++)
			e->sets[s].members[e->sets[s].count++] = number(&f->members, at);
		qsort(e->sets[s].members, e->sets[s].count, sizeof(double), compare_doubles);
		at++;
	}
	if (at != f->members.count)
		return fail(forest, "attribute membership_values has %zu values behind its %zu sets",
			    f->members.count - at, count);
	return 0;
}

static int find_flat_child(struct forest *forest, const struct flat_form *f, size_t parent, int64_t id, bool leaf,
			   size_t *child)
{
	if (id < 0 || (size_t)id >= (leaf ? f->num_leaves : f->num_nodes))
		return fail(forest, "node %zu has the child %s %lld of %zu", parent, leaf ? "leaf" : "node",
			    (long long)id, leaf ? f->num_leaves : f->num_nodes);
	*child = (leaf ? f->num_nodes : 0) + (size_t)id;
	return 0;
}

/* Which tree a node belongs to is known only after the visit: messages give the node's position. */
static int make_flat_nodes(struct forest *forest, struct flat_form *f)
{
	size_t num_sets = 0;

	for (size_t i = 0; i < f->num_nodes; i++) {
		struct ensemble_source_node *node = &f->nodes[i];
		int64_t mode = tensor_get_s64(f->modes, (int64_t)i);
		int err;

		if (mode < BRANCH_LEQ || mode > BRANCH_MEMBER)
			return fail(forest, "node %zu has the mode %lld, which does not exist", i, (long long)mode);
		node->mode = (enum branch_mode)mode;
		node->missing_yes = f->missing && f->missing[i];
		node->feature = f->features[i];
		node->value = number(&f->splits, i);
		node->node_id = (int64_t)i;
		node->set = node->mode == BRANCH_MEMBER ? num_sets++ : 0;
		err = find_flat_child(forest, f, i, f->yes[i], f->yes_leaf[i] != 0, &node->yes);
		if (!err)
			err = find_flat_child(forest, f, i, f->no[i], f->no_leaf[i] != 0, &node->no);
		if (err)
			return err;
	}
	for (size_t i = 0; i < f->num_leaves; i++)
		f->nodes[f->num_nodes + i] = (struct ensemble_source_node){
			.mode = BRANCH_LEAF, .leaf_first = i, .leaf_count = 1, .node_id = (int64_t)i};
	return read_sets(forest, f, num_sets);
}

static int make_flat_votes(struct forest *forest, const struct flat_form *f)
{
	struct ensemble *e = &forest->ensemble;

	e->votes = calloc(f->num_leaves, sizeof(*e->votes));
	if (!e->votes)
		return -ENOMEM;
	e->num_votes = f->num_leaves;
	for (size_t i = 0; i < f->num_leaves; i++) {
		if (f->targets[i] < 0 || f->targets[i] >= e->num_targets)
			return fail(forest, "leaf %zu is for target %lld of %lld", i, (long long)f->targets[i],
				    (long long)e->num_targets);
		e->votes[i] = (struct ensemble_vote){(uint32_t)f->targets[i], number(&f->weights, i)};
	}
	return 0;
}

static int read_flat_form(struct forest *forest, const struct op_node *node, bool wide)
{
	struct flat_form f = {0};
	int64_t post = op_attr_int(node, "post_transform", ML_POST_NONE);
	int64_t aggregate = op_attr_int(node, "aggregate_function", AGGREGATE_SUM);
	int err = count_targets(forest, node);

	if (!err && (post < ML_POST_NONE || post > ML_POST_PROBIT))
		err = fail(forest, "attribute post_transform is %lld, 0 to 4 are defined", (long long)post);
	if (!err && (aggregate < AGGREGATE_AVERAGE || aggregate > AGGREGATE_MAX))
		err = fail(forest, "attribute aggregate_function is %lld, 0 to 3 are defined", (long long)aggregate);
	forest->post = (enum ml_post)post;
	forest->ensemble.aggregate = (enum aggregate)aggregate;
	if (!err)
		err = read_flat(forest, node, &f);
	if (!err) {
		f.nodes = calloc(f.num_nodes + f.num_leaves, sizeof(*f.nodes));
		f.root_places = calloc(f.num_roots, sizeof(*f.root_places));
		err = f.nodes && f.root_places ? make_flat_nodes(forest, &f) : -ENOMEM;
	}
	if (!err)
		err = make_flat_votes(forest, &f);
	for (size_t t = 0; t < f.num_roots && !err; t++) {
		f.root_places[t] = (size_t)f.roots[t];
		if (f.roots[t] < 0 || f.root_places[t] >= f.num_nodes)
			err = fail(forest, "the root of tree %zu is node %lld of %zu", t, (long long)f.roots[t],
				   f.num_nodes);
	}
	forest->ensemble.wide = wide || is_wide(&f.splits) || is_wide(&f.members);
	if (!err)
		err = ensemble_lay_out(&forest->ensemble, f.nodes, f.num_nodes + f.num_leaves, f.root_places,
				       f.num_roots, forest->error, sizeof(forest->error));
	free(f.nodes);
	free(f.root_places);
	return err;
}

/* ---- ---- */

int forest_create(const struct op_node *node, enum forest_form form, bool wide, struct forest **created)
{
	struct forest *forest = calloc(1, sizeof(*forest));

	*created = forest;
	if (!forest)
		return -ENOMEM;
	forest->classifier = form == FOREST_CLASSIFIER;
	forest->err = form == FOREST_ENSEMBLE ? read_flat_form(forest, node, wide) : read_list_form(forest, node, wide);
	if (forest->err != -ENOMEM)
		return 0;
	forest_destroy(forest);
	*created = NULL;
	return -ENOMEM;
}

void forest_destroy(struct forest *forest)
{
	if (!forest)
		return;
	ensemble_finish(&forest->ensemble);
	free(forest->base);
	free(forest);
}
