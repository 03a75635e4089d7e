// SPDX-License-Identifier: MIT
/* ai.onnx.ml but for trees: linear models, support vectors, features, labels and maps. Expectations are worked out by hand. */
#include <errno.h>
#include <math.h>

#include "tests/unit/cpu/attr_lists.h"

#define ML "ai.onnx.ml"

static void linear_classifier_scores_every_class(void **state)
{
	/* Sums for (2, 1): 2 + 0.5, 1, -3. */
	double e[3] = {exp(2.5), exp(1), exp(-3)}, sum = e[0] + e[1] + e[2];
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "LinearClassifier", 1);
	c.node.num_outputs = 2;
	STRINGS(&c, "classlabels_strings", S("a"), S("b"), S(""));
	FLOATS(&c, "coefficients", 1, 0, 0, 1, -1, -1);
	FLOATS(&c, "intercepts", 0.5f, 0, 0);
	op_case_string(&c, "post_transform", "SOFTMAX");
	INPUT(&c, 2, ((int64_t[]){2, 2}), 2, 1, -4, -4);
	op_case_expect_ok(&c);
	expect_strings(&c.outputs[0], 2, (const char *[]){"a", ""});
	c.outputs[1].dims[0] = 1;
	expect_near(&c.outputs[1], (float[]){(float)(e[0] / sum), (float)(e[1] / sum), (float)(e[2] / sum)}, 1e-6, 0);
	op_case_finish(&c);
}

static void one_row_of_coefficients_decides_between_two_classes(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "LinearClassifier", 1);
	c.node.num_outputs = 2;
	INTS(&c, "classlabels_ints", -7, 7);
	FLOATS(&c, "coefficients", 1, -2);
	FLOATS(&c, "intercepts", 1);
	op_case_string(&c, "post_transform", "LOGISTIC");
	INPUT(&c, 2, ((int64_t[]){2, 2}), 1, 0, 0, 1);
	op_case_expect_ok(&c);
	assert_int_equal(tensor_get_s64(&c.outputs[0], 0), 7);
	assert_int_equal(tensor_get_s64(&c.outputs[0], 1), -7);
	expect_near(&c.outputs[1], (float[]){0.11920292f, 0.88079708f, 0.73105858f, 0.26894142f}, 1e-6, 0);
	op_case_finish(&c);
}

static void transforms_follow_their_formulas(void **state)
{
	/* Of 0.8 and 0.25: the normal distribution's quantiles are 0.8416 and -0.6745, the approximation has three digits. */
	static const struct {
		const char *name;
		float expected[2];
		double rtol;
	} cases[] = {
		{"NONE", {0.8f, 0.25f}, 1e-6},
		{"SOFTMAX", {0.63413559f, 0.36586441f}, 1e-6},
		{"SOFTMAX_ZERO", {0.63413559f, 0.36586441f}, 1e-6},
		{"LOGISTIC", {0.68997448f, 0.56217650f}, 1e-6},
		{"PROBIT", {0.8416f, -0.6745f}, 5e-3},
	};
	struct op_case c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		op_case_init(&c, ML, "LinearRegressor", 1);
		FLOATS(&c, "coefficients", 0.8f, 0.25f);
		op_case_int(&c, "targets", 2);
		op_case_string(&c, "post_transform", cases[i].name);
		INPUT(&c, 2, ((int64_t[]){1, 1}), 1);
		op_case_expect_ok(&c);
		expect_near(&c.outputs[0], cases[i].expected, cases[i].rtol, 0);
		op_case_finish(&c);
	}
	/* SOFTMAX_ZERO leaves a zero out of the sum. */
	op_case_init(&c, ML, "LinearRegressor", 1);
	FLOATS(&c, "coefficients", 0, 1, 1);
	op_case_int(&c, "targets", 3);
	op_case_string(&c, "post_transform", "SOFTMAX_ZERO");
	INPUT(&c, 1, ((int64_t[]){1}), 3);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0, 0.5f, 0.5f}, 1e-6, 0);
	op_case_finish(&c);
}

static void linear_models_name_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "LinearRegressor", 1);
	FLOATS(&c, "coefficients", 1, 2, 3);
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 1);
	op_case_expect_error(&c, -EINVAL, "coefficients has 3 values, expected 1 rows of the input's 2 features");
	op_case_finish(&c);
	op_case_init(&c, ML, "LinearClassifier", 1);
	FLOATS(&c, "coefficients", 1, 2);
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 1);
	op_case_expect_error(&c, -EINVAL, "classlabels_ints and classlabels_strings must have labels, none has");
	INTS(&c, "classlabels_ints", 1, 2, 3);
	op_case_expect_error(&c, -EINVAL, "coefficients has 2 values");
	FLOATS(&c, "intercepts", 1, 2);
	op_case_expect_error(&c, -EINVAL, "3 labels and 2 intercepts");
	op_case_finish(&c);
	op_case_init(&c, ML, "LinearRegressor", 1);
	FLOATS(&c, "coefficients", 1, 2);
	set_strings(op_case_input(&c, DTYPE_STRING, 2, (int64_t[]){1, 2}), (const char *[]){"1", "2"});
	op_case_expect_error(&c, -EINVAL, "input 0 is string");
	op_case_finish(&c);
}

/* ---- support vectors ---- */

static void svm_regressor_sums_kernels(void **state)
{
	static const struct {
		const char *kernel;
		double expected;
	} cases[] = {
		/* Vectors (1, 0) and (0, 2), coefficients 2 and -1, rho 0.5, x (1, 1); gamma 0.5, coef0 1, degree 3. */
		{"LINEAR", 2 * 1 - 2 + 0.5},
		{"POLY", 2 * 1.5 * 1.5 * 1.5 - 8 + 0.5},
		{"RBF", 2 * 0.60653066 - 0.36787944 + 0.5},
		{"SIGMOID", 2 * 0.90514825 - 0.96402758 + 0.5},
	};

	(void)state;
	for (int one_class = 0; one_class < 2; one_class++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			float expected = (float)cases[i].expected;
			struct op_case c;

			if (one_class)
				expected = expected > 0 ? 1 : -1;
			op_case_init(&c, ML, "SVMRegressor", 1);
			op_case_string(&c, "kernel_type", cases[i].kernel);
			FLOATS(&c, "kernel_params", 0.5f, 1, 3);
			FLOATS(&c, "support_vectors", 1, 0, 0, 2);
			FLOATS(&c, "coefficients", 2, -1);
			FLOATS(&c, "rho", 0.5f);
			op_case_int(&c, "n_supports", 2);
			op_case_int(&c, "one_class", one_class);
			INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 1);
			op_case_expect_ok(&c);
			expect_near(&c.outputs[0], &expected, 1e-5, 0);
			op_case_finish(&c);
		}
}

/* Of two classes, the coupled probabilities are the sigmoid's and its complement. */
static void svm_probabilities_of_two_classes_are_platts(void **state)
{
	float decision = 1 * 2 - 0.5f * 4 + 0.25f, p = 1 / (1 + expf(-1.5f * decision + 0.5f));
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "SVMClassifier", 1);
	c.node.num_outputs = 2;
	STRINGS(&c, "classlabels_strings", S("no"), S("yes"));
	INTS(&c, "vectors_per_class", 1, 1);
	FLOATS(&c, "support_vectors", 1, 2);
	FLOATS(&c, "coefficients", 1, -0.5f);
	FLOATS(&c, "rho", 0.25f);
	FLOATS(&c, "prob_a", -1.5f);
	FLOATS(&c, "prob_b", 0.5f);
	INPUT(&c, 2, ((int64_t[]){1, 1}), 2);
	op_case_expect_ok(&c);
	/* A positive decision is a vote for the first class. */
	expect_strings(&c.outputs[0], 1, (const char *[]){"no"});
	expect_near(&c.outputs[1], (float[]){p, 1 - p}, 1e-3, 0);
	op_case_finish(&c);
}

static void svm_classifier_votes_and_gives_the_pairs_decisions(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "SVMClassifier", 1);
	c.node.num_outputs = 2;
	INTS(&c, "classlabels_ints", 4, 5, 6);
	INTS(&c, "vectors_per_class", 1, 1, 1);
	FLOATS(&c, "support_vectors", 1, 2, 3);
	/* Row of the other class (less one behind the own): machines 4|5, 4|6, 5|6. */
	FLOATS(&c, "coefficients", 1, -1, -2, 3, 2, -4);
	FLOATS(&c, "rho", 0, 0, 1);
	INPUT(&c, 2, ((int64_t[]){1, 1}), 1);
	op_case_expect_ok(&c);
	/* 4|5: 1 * 1 - 1 * 2 = -1; 4|6: 3 * 1 - 2 * 3 = -3; 5|6: 2 * 2 - 4 * 3 + 1 = -7. Votes: 5, 6, 6. */
	assert_int_equal(tensor_get_s64(&c.outputs[0], 0), 6);
	expect_near(&c.outputs[1], (float[]){-1, -3, -7}, 1e-6, 0);
	op_case_finish(&c);
}

static void svm_names_attributes_of_the_wrong_length(void **state)
{
	static const struct {
		const char *name;
		const char *text;
	} cases[] = {{"support_vectors", "support_vectors has 1 values, expected 2"},
		     {"coefficients", "coefficients has 1 values, expected 2"},
		     {"vectors_per_class", "vectors_per_class has 1 values, expected 2"}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct op_case c;

		op_case_init(&c, ML, "SVMClassifier", 1);
		c.node.num_outputs = 2;
		INTS(&c, "classlabels_ints", 4, 5);
		INTS(&c, "vectors_per_class", 1, 1);
		FLOATS(&c, "support_vectors", 1, 2);
		FLOATS(&c, "coefficients", 1, 2);
		FLOATS(&c, "rho", 0);
		for (size_t k = 0; k < c.node.num_attrs; k++)
			if (!strcmp(c.attrs[k].name, cases[i].name))
				c.attrs[k].count = 1;
		INPUT(&c, 2, ((int64_t[]){1, 1}), 1);
		op_case_expect_error(&c, -EINVAL, cases[i].text);
		op_case_string(&c, "kernel_type", "CUBIC");
		op_case_expect_error(&c, -EINVAL, "kernel_type is none of");
		op_case_finish(&c);
	}
}

/* ---- features ---- */

static void scaler_and_normalizer(void **state)
{
	static const struct {
		const char *norm;
		float expected[6];
	} norms[] = {{"MAX", {0.75f, -1, 1, 0, 0, 0}},
		     {"L1", {0.27272727f, -0.36363636f, 0.36363636f, 0, 0, 0}},
		     {"L2", {0.46852129f, -0.62469505f, 0.62469505f, 0, 0, 0}}};
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "Scaler", 1);
	FLOATS(&c, "offset", 1, 2);
	FLOATS(&c, "scale", 3);
	INPUT(&c, 2, ((int64_t[]){2, 2}), 1, 2, 2, 4);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0, 0, 3, 6}, 0, 0);
	FLOATS(&c, "unused", 0);
	c.attrs[0].count = 3;
	op_case_expect_error(&c, -EINVAL, "offset has 3 values");
	op_case_finish(&c);
	for (size_t i = 0; i < 3; i++) {
		op_case_init(&c, ML, "Normalizer", 1);
		op_case_string(&c, "norm", norms[i].norm);
		INPUT(&c, 2, ((int64_t[]){2, 3}), 3, -4, 4, 0, 0, 0);
		op_case_expect_ok(&c);
		expect_near(&c.outputs[0], norms[i].expected, 1e-6, 0);
		op_case_finish(&c);
	}
}

static void imputer_replaces_by_value_and_by_nan(void **state)
{
	struct op_case c;
	int64_t *x;

	(void)state;
	op_case_init(&c, ML, "Imputer", 1);
	FLOATS(&c, "imputed_value_floats", 10, 20);
	op_case_float(&c, "replaced_value_float", NAN);
	INPUT(&c, 2, ((int64_t[]){2, 2}), NAN, 1, 2, NAN);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){10, 1, 2, 20}, 0, 0);
	op_case_finish(&c);
	op_case_init(&c, ML, "Imputer", 1);
	INTS(&c, "imputed_value_int64s", -1);
	op_case_int(&c, "replaced_value_int64", 5);
	x = op_case_input(&c, DTYPE_S64, 1, (int64_t[]){2})->data;
	x[0] = 5;
	x[1] = 6;
	op_case_expect_ok(&c);
	assert_int_equal(tensor_get_s64(&c.outputs[0], 0), -1);
	assert_int_equal(tensor_get_s64(&c.outputs[0], 1), 6);
	c.node.num_attrs = 0;
	op_case_expect_error(&c, -EINVAL, "imputed_value_int64s, which a int64 input needs");
	op_case_finish(&c);
}

static void one_hot_binarizer_extractor_and_vectorizer(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "OneHotEncoder", 1);
	STRINGS(&c, "cats_strings", S("x"), S("y"));
	set_strings(op_case_input(&c, DTYPE_STRING, 1, (int64_t[]){3}), (const char *[]){"y", "z", "x"});
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0, 1, 0, 0, 1, 0}, 0, 0);
	op_case_int(&c, "zeros", 0);
	op_case_expect_error(&c, -EINVAL, "element 1 of input 0 is none of the categories");
	op_case_finish(&c);
	op_case_init(&c, ML, "Binarizer", 1);
	op_case_float(&c, "threshold", 1);
	INPUT(&c, 1, ((int64_t[]){3}), 1, 1.5f, -2);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0, 1, 0}, 0, 0);
	op_case_finish(&c);
	op_case_init(&c, ML, "ArrayFeatureExtractor", 1);
	INPUT(&c, 2, ((int64_t[]){2, 3}), 1, 2, 3, 4, 5, 6);
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){2})->data, (int64_t[]){2, 0}, 16);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){3, 1, 6, 4}, 0, 0);
	((int64_t *)c.inputs[1].data)[1] = 3;
	op_case_expect_error(&c, -EINVAL, "index 3 (input 1) of 3 features");
	op_case_finish(&c);
	op_case_init(&c, ML, "FeatureVectorizer", 1);
	INTS(&c, "inputdimensions", 1, 3);
	INPUT(&c, 2, ((int64_t[]){1, 2}), 1, 2);
	INPUT(&c, 1, ((int64_t[]){2}), 3, 4);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){1, 3, 4, 0}, 0, 0);
	op_case_finish(&c);
}

/* ---- labels ---- */

static void label_encoder_maps_between_all_types(void **state)
{
	int16_t values[] = {7, 8, 9}, other = -3;
	float keys[] = {1, NAN, 1};
	int64_t three = 3, one = 1;
	struct tensor t[3];
	struct op_case c;

	(void)state;
	/* Version 1: the place in the list, both ways. */
	op_case_init(&c, ML, "LabelEncoder", 1);
	STRINGS(&c, "classes_strings", S("a"), S("b"));
	set_strings(op_case_input(&c, DTYPE_STRING, 1, &three), (const char *[]){"b", "?", "a"});
	op_case_expect_ok(&c);
	assert_memory_equal(c.outputs[0].data, ((int64_t[]){1, -1, 0}), 24);
	op_case_finish(&c);
	/* Version 2. */
	op_case_init(&c, ML, "LabelEncoder", 2);
	INTS(&c, "keys_int64s", 5, 6);
	STRINGS(&c, "values_strings", S("five"), S("six"));
	memcpy(op_case_input(&c, DTYPE_S64, 1, &three)->data, (int64_t[]){6, 7, 5}, 24);
	op_case_expect_ok(&c);
	expect_strings(&c.outputs[0], 3, (const char *[]){"six", "_Unused", "five"});
	FLOATS(&c, "values_floats", 1, 2);
	op_case_expect_error(&c, -EINVAL, "beside another form");
	op_case_finish(&c);
	/* Version 4: tensors; every NaN is the same key, of a repeated key the last counts. */
	assert_int_equal(tensor_init_view(&t[0], DTYPE_F32, 1, &three, keys, sizeof(keys)), 0);
	assert_int_equal(tensor_init_view(&t[1], DTYPE_S16, 1, &three, values, sizeof(values)), 0);
	assert_int_equal(tensor_init_view(&t[2], DTYPE_S16, 1, &one, &other, sizeof(other)), 0);
	op_case_init(&c, ML, "LabelEncoder", 4);
	op_case_attr(&c, &(struct attr){.name = "keys_tensor", .type = ATTR_TENSOR, .tensor = &t[0]});
	op_case_attr(&c, &(struct attr){.name = "values_tensor", .type = ATTR_TENSOR, .tensor = &t[1]});
	op_case_attr(&c, &(struct attr){.name = "default_tensor", .type = ATTR_TENSOR, .tensor = &t[2]});
	INPUT(&c, 1, &three, -NAN, 1, 2);
	op_case_expect_ok(&c);
	assert_int_equal(c.outputs[0].dtype, DTYPE_S16);
	assert_memory_equal(c.outputs[0].data, ((int16_t[]){8, 9, -3}), 6);
	t[1].dims[0] = 2;
	op_case_expect_error(&c, -EINVAL, "3 keys and 2 values");
	op_case_finish(&c);
}

static void category_mapper_goes_both_ways(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, ML, "CategoryMapper", 1);
	STRINGS(&c, "cats_strings", S("a"), S("b"));
	INTS(&c, "cats_int64s", 10, 20);
	op_case_string(&c, "default_string", "none");
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){2})->data, (int64_t[]){20, 21}, 16);
	op_case_expect_ok(&c);
	expect_strings(&c.outputs[0], 2, (const char *[]){"b", "none"});
	op_case_finish(&c);
}

/* ---- maps ---- */

static void zip_map_gives_a_map_a_row_and_dict_vectorizer_takes_it(void **state)
{
	struct op_case zip, dict;

	(void)state;
	op_case_init(&zip, ML, "ZipMap", 1);
	STRINGS(&zip, "classlabels_strings", S("cat"), S("dog"));
	INPUT(&zip, 2, ((int64_t[]){2, 2}), 1, 2, 3, 4);
	op_case_expect_ok(&zip);
	assert_int_equal(zip.outputs[0].dtype, DTYPE_SEQUENCE);
	assert_int_equal(tensor_count(&zip.outputs[0]), 2);
	assert_int_equal(tensor_elements(&zip.outputs[0])[1].dtype, DTYPE_MAP);
	op_case_init(&dict, ML, "DictVectorizer", 1);
	STRINGS(&dict, "string_vocabulary", S("dog"), S("cow"), S("cat"));
	dict.node.num_inputs = 1;
	assert_int_equal(tensor_copy(&dict.inputs[0], &tensor_elements(&zip.outputs[0])[1]), 0);
	op_case_expect_ok(&dict);
	expect_near(&dict.outputs[0], (float[]){4, 0, 3}, 0, 0);
	op_case_finish(&dict);
	op_case_finish(&zip);
	op_case_init(&zip, ML, "ZipMap", 1);
	INTS(&zip, "classlabels_int64s", 1, 2, 3);
	INPUT(&zip, 2, ((int64_t[]){1, 2}), 1, 2);
	op_case_expect_error(&zip, -EINVAL, "2 columns for 3 keys");
	op_case_finish(&zip);
}

static void cast_map_orders_by_key(void **state)
{
	(void)state;
	for (int sparse = 0; sparse < 2; sparse++) {
		struct op_case c;
		struct tensor *parts;
		int64_t two = 2;

		op_case_init(&c, ML, "CastMap", 1);
		op_case_string(&c, "map_form", sparse ? "SPARSE" : "DENSE");
		op_case_int(&c, "max_map", 4);
		c.node.num_inputs = 1;
		assert_int_equal(tensor_init_nested(&c.inputs[0], DTYPE_MAP, 2), 0);
		parts = tensor_elements(&c.inputs[0]);
		assert_int_equal(tensor_init(&parts[0], DTYPE_S64, 1, &two), 0);
		assert_int_equal(tensor_init(&parts[1], DTYPE_STRING, 1, &two), 0);
		memcpy(parts[0].data, (int64_t[]){3, 1}, 16);
		set_strings(&parts[1], (const char *[]){"2.5", "-4"});
		op_case_expect_ok(&c);
		if (sparse)
			expect_near(&c.outputs[0], (float[]){0, -4, 0, 2.5f}, 0, 0);
		else
			expect_near(&c.outputs[0], (float[]){-4, 2.5f}, 0, 0);
		set_strings(&parts[1], (const char *[]){"2.5", "four"});
		op_case_expect_error(&c, -EINVAL, "\"four\", is no number");
		((int64_t *)parts[0].data)[1] = 4;
		if (sparse)
			op_case_expect_error(&c, -EINVAL, "key 4, max_map is 4");
		op_case_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_classifier_scores_every_class),
		cmocka_unit_test(one_row_of_coefficients_decides_between_two_classes),
		cmocka_unit_test(transforms_follow_their_formulas),
		cmocka_unit_test(linear_models_name_what_does_not_fit),
		cmocka_unit_test(svm_regressor_sums_kernels),
		cmocka_unit_test(svm_probabilities_of_two_classes_are_platts),
		cmocka_unit_test(svm_classifier_votes_and_gives_the_pairs_decisions),
		cmocka_unit_test(svm_names_attributes_of_the_wrong_length),
		cmocka_unit_test(scaler_and_normalizer),
		cmocka_unit_test(imputer_replaces_by_value_and_by_nan),
		cmocka_unit_test(one_hot_binarizer_extractor_and_vectorizer),
		cmocka_unit_test(label_encoder_maps_between_all_types),
		cmocka_unit_test(category_mapper_goes_both_ways),
		cmocka_unit_test(zip_map_gives_a_map_a_row_and_dict_vectorizer_takes_it),
		cmocka_unit_test(cast_map_orders_by_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
