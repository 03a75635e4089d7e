// SPDX-License-Identifier: MIT
/* Tree ensembles of ai.onnx.ml: what they answer, and what they say of models that are no trees. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "tests/unit/cpu/attr_lists.h"

#define LEAF S("LEAF")
#define LEQ S("BRANCH_LEQ")

/* A tree of two levels: x0 <= 1.5 ? (x1 <= -1 ? leaf 3 : leaf 4) : leaf 2. */
static void add_tree(struct op_case *c)
{
	static int64_t trees[] = {5, 5, 5, 5, 5}, ids[] = {0, 1, 2, 3, 4}, features[] = {0, 1, 0, 0, 0};
	static int64_t yes[] = {1, 3, 0, 0, 0}, no[] = {2, 4, 0, 0, 0};
	static float values[] = {1.5f, -1, 0, 0, 0};
	static struct tensor_string modes[] = {LEQ, LEQ, LEAF, LEAF, LEAF};

	op_case_attr(c, &(struct attr){.name = "nodes_treeids", .type = ATTR_INTS, .ints = trees, .count = 5});
	op_case_attr(c, &(struct attr){.name = "nodes_nodeids", .type = ATTR_INTS, .ints = ids, .count = 5});
	op_case_attr(c, &(struct attr){.name = "nodes_featureids", .type = ATTR_INTS, .ints = features, .count = 5});
	op_case_attr(c, &(struct attr){.name = "nodes_truenodeids", .type = ATTR_INTS, .ints = yes, .count = 5});
	op_case_attr(c, &(struct attr){.name = "nodes_falsenodeids", .type = ATTR_INTS, .ints = no, .count = 5});
	op_case_attr(c, &(struct attr){.name = "nodes_values", .type = ATTR_FLOATS, .floats = values, .count = 5});
	op_case_attr(c, &(struct attr){.name = "nodes_modes", .type = ATTR_STRINGS, .strings = modes, .count = 5});
}

static struct attr *find(struct op_case *c, const char *name)
{
	for (size_t i = 0; i < c->node.num_attrs; i++)
		if (!strcmp(c->attrs[i].name, name))
			return &c->attrs[i];
	fail_msg("no attribute %s", name);
	return NULL;
}

/* Votes of leaves 2, 3 and 4 for targets 0, 1 and 0. */
#define ADD_REGRESSOR(c)                                           \
	op_case_init(c, "ai.onnx.ml", "TreeEnsembleRegressor", 3); \
	add_tree(c);                                               \
	INTS(c, "target_treeids", 5, 5, 5);                        \
	INTS(c, "target_nodeids", 2, 3, 4);                        \
	INTS(c, "target_ids", 0, 1, 0);                            \
	FLOATS(c, "target_weights", 10, 20, 30);                   \
	op_case_int(c, "n_targets", 2)

static void a_regressor_walks_to_the_leaf_and_adds_base_values(void **state)
{
	struct op_case c;

	(void)state;
	ADD_REGRESSOR(&c);
	FLOATS(&c, "base_values", 0.5f, 0.25f);
	/* 1.5 is "at most 1.5"; NaN is not, and goes to the no branch. */
	INPUT(&c, 2, ((int64_t[]){4, 2}), 1.5f, -1, 1.5f, 0, 2, 0, NAN, 0);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0.5f, 20.25f, 30.5f, 0.25f, 10.5f, 0.25f, 10.5f, 0.25f}, 0, 0);
	op_case_finish(&c);
}

static void nan_follows_the_true_branch_where_the_node_says_so(void **state)
{
	struct op_case c;

	(void)state;
	ADD_REGRESSOR(&c);
	INTS(&c, "nodes_missing_value_tracks_true", 1, 0, 0, 0, 0);
	INPUT(&c, 2, ((int64_t[]){1, 2}), NAN, -3);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0, 20}, 0, 0);
	op_case_finish(&c);
}

static void every_input_type_gives_the_same(void **state)
{
	static const enum dtype types[] = {DTYPE_F32, DTYPE_F64, DTYPE_S32, DTYPE_S64};
	int64_t dims[2] = {2, 2};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct op_case c;
		struct tensor *x;

		ADD_REGRESSOR(&c);
		x = op_case_input(&c, types[i], 2, dims);
		for (int k = 0; k < 4; k++) {
			int values[] = {1, -2, 2, 7};

			if (types[i] == DTYPE_F32)
				((float *)x->data)[k] = (float)values[k];
			else if (types[i] == DTYPE_F64)
				((double *)x->data)[k] = values[k];
			else if (types[i] == DTYPE_S32)
				((int32_t *)x->data)[k] = values[k];
			else
				((int64_t *)x->data)[k] = values[k];
		}
		op_case_expect_ok(&c);
		expect_near(&c.outputs[0], (float[]){0, 20, 10, 0}, 0, 0);
		op_case_finish(&c);
	}
}

/* 1 + 2^-40 is above a threshold of 1 in double and equal to it in float. */
static void double_thresholds_compare_in_double(void **state)
{
	double values[] = {1, -1, 0, 0, 0};
	int64_t five = 5, dims[2] = {1, 2};
	struct tensor thresholds;
	struct op_case c;
	double *x;

	(void)state;
	ADD_REGRESSOR(&c);
	assert_int_equal(tensor_init_view(&thresholds, DTYPE_F64, 1, &five, values, sizeof(values)), 0);
	*find(&c, "nodes_values") =
		(struct attr){.name = "nodes_values_as_tensor", .type = ATTR_TENSOR, .tensor = &thresholds};
	x = op_case_input(&c, DTYPE_F64, 2, dims)->data;
	x[0] = 1 + 0x1p-40;
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){10, 0}, 0, 0);
	op_case_finish(&c);
}

static void votes_aggregate_as_the_attribute_says(void **state)
{
	static const char *const functions[] = {"SUM", "AVERAGE", "MIN", "MAX"};
	static const float expected[] = {5, 2.5f, 1, 4};

	(void)state;
	/* Two trees of one leaf each. */
	for (int i = 0; i < 4; i++) {
		struct op_case c;

		op_case_init(&c, "ai.onnx.ml", "TreeEnsembleRegressor", 1);
		INTS(&c, "nodes_treeids", 0, 1);
		INTS(&c, "nodes_nodeids", 0, 0);
		INTS(&c, "nodes_featureids", 0, 0);
		INTS(&c, "nodes_truenodeids", 0, 0);
		INTS(&c, "nodes_falsenodeids", 0, 0);
		FLOATS(&c, "nodes_values", 0, 0);
		STRINGS(&c, "nodes_modes", LEAF, LEAF);
		INTS(&c, "target_treeids", 0, 1);
		INTS(&c, "target_nodeids", 0, 0);
		INTS(&c, "target_ids", 0, 0);
		FLOATS(&c, "target_weights", 4, 1);
		op_case_int(&c, "n_targets", 1);
		op_case_string(&c, "aggregate_function", functions[i]);
		INPUT(&c, 2, ((int64_t[]){1, 1}), 0);
		op_case_expect_ok(&c);
		expect_near(&c.outputs[0], &expected[i], 0, 0);
		op_case_finish(&c);
	}
}

#define ADD_CLASSIFIER(c)                                                   \
	op_case_init(c, "ai.onnx.ml", "TreeEnsembleClassifier", 3);         \
	(c)->node.num_outputs = 2;                                          \
	add_tree(c);                                                        \
	STRINGS(c, "classlabels_strings", S("red"), S("green"), S("blue")); \
	INTS(c, "class_treeids", 5, 5, 5, 5);                               \
	INTS(c, "class_nodeids", 2, 3, 4, 4);                               \
	INTS(c, "class_ids", 0, 1, 2, 0);                                   \
	FLOATS(c, "class_weights", 1, 1, 0.75f, 0.25f)

static void a_classifier_names_the_class_with_the_most_votes(void **state)
{
	struct op_case c;

	(void)state;
	ADD_CLASSIFIER(&c);
	INPUT(&c, 2, ((int64_t[]){3, 2}), 0, -2, 0, 0, 9, 0);
	op_case_expect_ok(&c);
	expect_strings(&c.outputs[0], 3, (const char *[]){"green", "blue", "red"});
	expect_near(&c.outputs[1], (float[]){0, 1, 0, 0.25f, 0, 0.75f, 1, 0, 0}, 0, 0);
	op_case_finish(&c);
}

/* A hundred rows and more go over threads in blocks: each answers as alone. */
static void many_rows_on_threads_answer_as_one(void **state)
{
	int64_t dims[2] = {5000, 2};
	struct op_case c;
	const float *x;

	(void)state;
	random_seed();
	ADD_CLASSIFIER(&c);
	assert_int_equal(cpu_pool_create(4, &c.pool), 0);
	x = op_case_random(&c, 2, dims);
	for (int i = 0; i < 10000; i++)
		((float *)(uintptr_t)x)[i] *= 4;
	op_case_expect_ok(&c);
	for (int r = 0; r < 5000; r++) {
		const char *label = x[2 * r] <= 1.5f ? x[2 * r + 1] <= -1 ? "green" : "blue" : "red";
		const struct tensor_string *s = (const struct tensor_string *)c.outputs[0].data + r;

		assert_int_equal(s->size, strlen(label));
		assert_memory_equal(s->data, label, s->size);
	}
	cpu_pool_destroy(c.pool);
	op_case_finish(&c);
}

/* One class has all the votes: probabilities against a half, margins against zero. */
static void two_classes_with_votes_for_one_have_a_threshold(void **state)
{
	(void)state;
	for (int margins = 0; margins < 2; margins++) {
		float low = margins ? -0.25f : 0.25f;
		struct op_case c;

		op_case_init(&c, "ai.onnx.ml", "TreeEnsembleClassifier", 1);
		c.node.num_outputs = 2;
		add_tree(&c);
		INTS(&c, "classlabels_int64s", 70, 71);
		INTS(&c, "class_treeids", 5, 5, 5);
		INTS(&c, "class_nodeids", 2, 3, 4);
		INTS(&c, "class_ids", 0, 0, 0);
		FLOATS(&c, "class_weights", low, 0.75f, 0.125f);
		INPUT(&c, 2, ((int64_t[]){2, 2}), 9, 0, 0, -9);
		op_case_expect_ok(&c);
		assert_int_equal(tensor_get_s64(&c.outputs[0], 0), 70);
		assert_int_equal(tensor_get_s64(&c.outputs[0], 1), 71);
		expect_near(&c.outputs[1], (float[]){margins ? 0.25f : 0.75f, low, margins ? -0.75f : 0.25f, 0.75f},
			    1e-6, 1e-6);
		op_case_finish(&c);
	}
}

/* ---- version 5 ---- */

/* Node 0: x0 in {1, 4} ? leaf 0 : node 1; node 1: x1 > 0 ? leaf 1 : leaf 2. @modes, @splits, @members as the caller has them. */
static void add_ensemble(struct op_case *c, struct tensor *modes, struct tensor *splits, struct tensor *weights,
			 struct tensor *members)
{
	static int64_t roots[] = {0}, features[] = {0, 1}, yes[] = {0, 1}, no[] = {1, 2}, yes_leaf[] = {1, 1},
		       no_leaf[] = {0, 1}, targets[] = {0, 1, 1};

	op_case_init(c, "ai.onnx.ml", "TreeEnsemble", 5);
	op_case_attr(c, &(struct attr){.name = "tree_roots", .type = ATTR_INTS, .ints = roots, .count = 1});
	op_case_attr(c, &(struct attr){.name = "nodes_featureids", .type = ATTR_INTS, .ints = features, .count = 2});
	op_case_attr(c, &(struct attr){.name = "nodes_truenodeids", .type = ATTR_INTS, .ints = yes, .count = 2});
	op_case_attr(c, &(struct attr){.name = "nodes_falsenodeids", .type = ATTR_INTS, .ints = no, .count = 2});
	op_case_attr(c, &(struct attr){.name = "nodes_trueleafs", .type = ATTR_INTS, .ints = yes_leaf, .count = 2});
	op_case_attr(c, &(struct attr){.name = "nodes_falseleafs", .type = ATTR_INTS, .ints = no_leaf, .count = 2});
	op_case_attr(c, &(struct attr){.name = "leaf_targetids", .type = ATTR_INTS, .ints = targets, .count = 3});
	op_case_attr(c, &(struct attr){.name = "nodes_modes", .type = ATTR_TENSOR, .tensor = modes});
	op_case_attr(c, &(struct attr){.name = "nodes_splits", .type = ATTR_TENSOR, .tensor = splits});
	op_case_attr(c, &(struct attr){.name = "leaf_weights", .type = ATTR_TENSOR, .tensor = weights});
	op_case_attr(c, &(struct attr){.name = "membership_values", .type = ATTR_TENSOR, .tensor = members});
	op_case_int(c, "n_targets", 2);
}

static void set_membership_and_leaf_children_of_version_five(void **state)
{
	uint8_t modes[] = {6, 3};
	float splits[] = {0, 0}, weights[] = {5, 6, 7}, members[] = {4, 1, NAN};
	int64_t two = 2, three = 3;
	struct tensor t[4];
	struct op_case c;

	(void)state;
	assert_int_equal(tensor_init_view(&t[0], DTYPE_U8, 1, &two, modes, sizeof(modes)), 0);
	assert_int_equal(tensor_init_view(&t[1], DTYPE_F32, 1, &two, splits, sizeof(splits)), 0);
	assert_int_equal(tensor_init_view(&t[2], DTYPE_F32, 1, &three, weights, sizeof(weights)), 0);
	assert_int_equal(tensor_init_view(&t[3], DTYPE_F32, 1, &three, members, sizeof(members)), 0);
	add_ensemble(&c, &t[0], &t[1], &t[2], &t[3]);
	INPUT(&c, 2, ((int64_t[]){4, 2}), 1, 0, 4, 1, 2, 1, 2, 0);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){5, 0, 5, 0, 0, 6, 0, 7}, 0, 0);
	op_case_finish(&c);

	/* The set is not closed by NaN; then the mode does not exist; then a node is its own child. */
	members[2] = 3;
	add_ensemble(&c, &t[0], &t[1], &t[2], &t[3]);
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
	op_case_expect_error(&c, -EINVAL, "membership_values ends before");
	op_case_finish(&c);
	members[2] = NAN;
	modes[1] = 7;
	add_ensemble(&c, &t[0], &t[1], &t[2], &t[3]);
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
	op_case_expect_error(&c, -EINVAL, "node 1 has the mode 7");
	op_case_finish(&c);
	modes[1] = 3;
	add_ensemble(&c, &t[0], &t[1], &t[2], &t[3]);
	find(&c, "nodes_falseleafs")->ints = (int64_t[]){0, 0};
	find(&c, "nodes_falsenodeids")->ints = (int64_t[]){1, 1};
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
	op_case_expect_error(&c, -EINVAL, "cycle");
	op_case_finish(&c);
}

/* ---- models that are no trees ---- */

static void what_is_no_tree_is_an_error_that_names_the_node(void **state)
{
	static const struct {
		const char *attribute;
		int64_t values[5];
		const char *text;
	} cases[] = {
		{"nodes_truenodeids", {1, 0, 0, 0, 0}, "node 0 of tree 5, listed first, is a child"},
		{"nodes_truenodeids", {1, 1, 0, 0, 0}, "node 1 of tree 5 is below itself"},
		{"nodes_truenodeids", {1, 9, 0, 0, 0}, "node 1 of tree 5 has the child 9"},
		{"nodes_falsenodeids", {-1, 4, 0, 0, 0}, "node 0 of tree 5 has the child -1"},
		{"nodes_featureids", {-1, 1, 0, 0, 0}, "node 0 of tree 5 reads a feature"},
		{"nodes_featureids", {0, 2, 0, 0, 0}, "the trees read feature 2, input 0 has 2"},
		{"nodes_nodeids", {0, 1, 2, 3, 3}, "tree 5 has two nodes 3"},
		{"target_nodeids", {2, 3, 8}, "vote 2 is of node 8"},
		{"target_ids", {0, 1, 2}, "vote 2 is for target 2 of 2"},
		{"target_ids", {0, -1, 0}, "vote 1 is for target -1 of 2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		ADD_REGRESSOR(&c);
		find(&c, cases[i].attribute)->ints = (int64_t *)(uintptr_t)cases[i].values;
		INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
		op_case_expect_error(&c, -EINVAL, cases[i].text);
		op_case_finish(&c);
	}
}

static void lists_of_different_lengths_and_missing_ones_are_errors(void **state)
{
	static const char *const names[] = {"nodes_treeids",     "nodes_nodeids",      "nodes_featureids",
					    "nodes_truenodeids", "nodes_falsenodeids", "nodes_values",
					    "target_treeids",    "target_nodeids",     "target_ids"};
	struct op_case c;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t less = 0; less < 2; less++) {
			ADD_REGRESSOR(&c);
			find(&c, names[i])->count = less;
			INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
			op_case_expect_error(&c, -EINVAL, names[i]);
			op_case_finish(&c);
		}
	ADD_REGRESSOR(&c);
	find(&c, "n_targets")->name = "other";
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
	op_case_expect_error(&c, -EINVAL, "n_targets");
	op_case_finish(&c);
	ADD_REGRESSOR(&c);
	FLOATS(&c, "base_values", 1, 2, 3);
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
	op_case_expect_error(&c, -EINVAL, "base_values has 3 entries for 2 targets");
	op_case_finish(&c);
	ADD_REGRESSOR(&c);
	op_case_string(&c, "post_transform", "softmax");
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 0);
	op_case_expect_error(&c, -EINVAL, "post_transform");
	op_case_finish(&c);
}

/* A tree that is one long list: as deep as a model can be long. */
static void a_tree_of_any_depth_is_walked(void **state)
{
	enum { DEPTH = 200000, NODES = 2 * DEPTH + 1 };
	int64_t *lists = calloc((size_t)NODES * 5, sizeof(*lists));
	struct tensor_string *modes = calloc(NODES, sizeof(*modes));
	float *values = calloc(NODES, sizeof(*values));
	struct op_case c;

	(void)state;
	assert_true(lists && modes && values);
	/* Even nodes branch: yes is the next even one, no the leaf between. */
	for (int64_t i = 0; i < NODES; i++) {
		bool leaf = i % 2 || i == NODES - 1;

		lists[NODES + i] = i;
		lists[3 * NODES + i] = leaf ? 0 : i + 2;
		lists[4 * NODES + i] = leaf ? 0 : i + 1;
		modes[i] = leaf ? (struct tensor_string)LEAF : (struct tensor_string)LEQ;
	}
	op_case_init(&c, "ai.onnx.ml", "TreeEnsembleRegressor", 1);
	for (int i = 0; i < 5; i++) {
		static const char *const names[] = {"nodes_treeids", "nodes_nodeids", "nodes_featureids",
						    "nodes_truenodeids", "nodes_falsenodeids"};

		op_case_attr(&c, &(struct attr){.name = names[i],
						.type = ATTR_INTS,
						.ints = lists + (size_t)i * NODES,
						.count = NODES});
	}
	op_case_attr(&c, &(struct attr){.name = "nodes_values", .type = ATTR_FLOATS, .floats = values, .count = NODES});
	op_case_attr(&c, &(struct attr){.name = "nodes_modes", .type = ATTR_STRINGS, .strings = modes, .count = NODES});
	INTS(&c, "target_treeids", 0, 0);
	INTS(&c, "target_nodeids", NODES - 1, 1);
	INTS(&c, "target_ids", 0, 0);
	FLOATS(&c, "target_weights", 8, 9);
	op_case_int(&c, "n_targets", 1);
	INPUT(&c, 2, ((int64_t[]){2, 1}), -1, 1);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){8, 9}, 0, 0);
	op_case_finish(&c);
	free(lists);
	free(modes);
	free(values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_regressor_walks_to_the_leaf_and_adds_base_values),
		cmocka_unit_test(nan_follows_the_true_branch_where_the_node_says_so),
		cmocka_unit_test(every_input_type_gives_the_same),
		cmocka_unit_test(double_thresholds_compare_in_double),
		cmocka_unit_test(votes_aggregate_as_the_attribute_says),
		cmocka_unit_test(a_classifier_names_the_class_with_the_most_votes),
		cmocka_unit_test(many_rows_on_threads_answer_as_one),
		cmocka_unit_test(two_classes_with_votes_for_one_have_a_threshold),
		cmocka_unit_test(set_membership_and_leaf_children_of_version_five),
		cmocka_unit_test(what_is_no_tree_is_an_error_that_names_the_node),
		cmocka_unit_test(lists_of_different_lengths_and_missing_ones_are_errors),
		cmocka_unit_test(a_tree_of_any_depth_is_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
