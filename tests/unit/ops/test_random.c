// SPDX-License-Identifier: MIT
/*
 * Random operators: the generator against its authors' test vectors; each operator's type, range, distribution and
 * reproducibility. With a seed the numbers are fixed, so the bounds on statistics can not fail by chance.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/narrow_float.h"
#include "runtime/cpu/random_stream.h"
#include "tests/unit/cpu/op_case.h"

#define COUNT 100000

static struct cpu_pool *pool;

/* kat_vectors of Random123, philox4x32 10. */
static void philox_gives_the_published_words(void **state)
{
	static const struct {
		uint32_t counter[4], key[2], want[4];
	} vectors[] = {
		{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
		 {0xffffffff, 0xffffffff},
		 {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
		 {0xa4093822, 0x299f31d0},
		 {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint32_t got[4];

		philox(vectors[i].counter, vectors[i].key, got);
		assert_memory_equal(got, vectors[i].want, sizeof(got));
	}
}

static void init(struct op_case *c, const char *op, int opset, bool seeded)
{
	op_case_init(c, "", op, opset);
	c->pool = pool;
	if (seeded)
		op_case_float(c, "seed", 42);
}

static void mean_and_variance(const struct tensor *t, double *mean, double *variance)
{
	int64_t n = tensor_count(t);
	double sum = 0, squares = 0;

	for (int64_t i = 0; i < n; i++)
		sum += tensor_get_f64(t, i);
	*mean = sum / (double)n;
	for (int64_t i = 0; i < n; i++)
		squares += pow(tensor_get_f64(t, i) - *mean, 2);
	*variance = squares / (double)n;
}

/* Sum of (seen - expected)^2 / expected over 20 equally likely cells: 19 degrees of freedom, 99.9 % below 43.8. */
static double chi_square(const int64_t *cells, int64_t n)
{
	double expected = (double)n / 20, sum = 0;

	for (int i = 0; i < 20; i++)
		sum += pow((double)cells[i] - expected, 2) / expected;
	return sum;
}

static void uniform_fills_its_range(void **state)
{
	int64_t cells[20] = {0};
	double mean, variance;
	struct op_case c;

	(void)state;
	init(&c, "RandomUniform", 22, true);
	op_case_ints(&c, "shape", 2, (int64_t[]){100, COUNT / 100});
	op_case_float(&c, "low", -2);
	op_case_float(&c, "high", 6);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){100, COUNT / 100});
	for (int64_t i = 0; i < COUNT; i++) {
		double x = tensor_get_f64(&c.outputs[0], i);

		assert_true(x >= -2 && x <= 6);
		cells[(int)fmin(19, (x + 2) / 8 * 20)]++;
	}
	mean_and_variance(&c.outputs[0], &mean, &variance);
	assert_true(fabs(mean - 2) < 0.03);
	assert_true(fabs(variance - 64.0 / 12) < 0.06);
	assert_true(chi_square(cells, COUNT) < 43.8);
	op_case_finish(&c);
}

static void normal_has_its_moments(void **state)
{
	int64_t cells[20] = {0};
	double mean, variance;
	struct op_case c;

	(void)state;
	init(&c, "RandomNormal", 22, true);
	op_case_ints(&c, "shape", 1, (int64_t[]){COUNT});
	op_case_float(&c, "mean", 3);
	op_case_float(&c, "scale", 2);
	op_case_int(&c, "dtype", DTYPE_F64);
	op_case_expect_ok(&c);
	assert_int_equal(c.outputs[0].dtype, DTYPE_F64);
	mean_and_variance(&c.outputs[0], &mean, &variance);
	assert_true(fabs(mean - 3) < 0.03);
	assert_true(fabs(variance - 4) < 0.08);
	/* By the distribution function the cells are equally likely. */
	for (int64_t i = 0; i < COUNT; i++) {
		double p = 0.5 * erfc(-(tensor_get_f64(&c.outputs[0], i) - 3) / 2 / sqrt(2));

		cells[(int)fmin(19, p * 20)]++;
	}
	assert_true(chi_square(cells, COUNT) < 43.8);
	op_case_finish(&c);
}

static void like_takes_shape_and_type(void **state)
{
	static const char *const ops[] = {"RandomNormalLike", "RandomUniformLike"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct op_case c;

		init(&c, ops[i], 22, true);
		op_case_input(&c, DTYPE_F16, 2, (int64_t[]){3, 5});
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, DTYPE_F16);
		expect_shape(&c.outputs[0], 2, (int64_t[]){3, 5});
		op_case_finish(&c);
	}
}

/* The same numbers again, whatever the threads; others without a seed, on every run. */
static void a_seed_fixes_the_numbers(void **state)
{
	(void)state;
	for (int seeded = 0; seeded < 2; seeded++) {
		struct op_case a, b;

		init(&a, "RandomNormal", 1, seeded);
		init(&b, "RandomNormal", 1, seeded);
		b.pool = NULL;
		op_case_ints(&a, "shape", 1, (int64_t[]){COUNT});
		op_case_ints(&b, "shape", 1, (int64_t[]){COUNT});
		op_case_expect_ok(&a);
		op_case_expect_ok(&b);
		assert_int_equal(!memcmp(a.outputs[0].data, b.outputs[0].data, tensor_bytes(&a.outputs[0])), seeded);
		op_case_finish(&a);
		op_case_finish(&b);
	}
}

static void bernoulli_follows_its_input(void **state)
{
	int64_t ones = 0;
	struct op_case c;
	float *p;

	(void)state;
	init(&c, "Bernoulli", 15, true);
	op_case_int(&c, "dtype", DTYPE_BOOL);
	p = op_case_random(&c, 1, (int64_t[]){COUNT});
	for (int64_t i = 0; i < COUNT; i++)
		p[i] = i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : 0.3f;
	op_case_expect_ok(&c);
	assert_int_equal(c.outputs[0].dtype, DTYPE_BOOL);
	for (int64_t i = 0; i < COUNT; i++) {
		uint8_t drawn = ((uint8_t *)c.outputs[0].data)[i];

		assert_true(drawn <= 1);
		if (i % 4 < 2)
			assert_int_equal(drawn, i % 4);
		else
			ones += drawn;
	}
	assert_true(fabs((double)ones / (COUNT / 2) - 0.3) < 0.01);
	op_case_finish(&c);
}

static void multinomial_draws_by_probability(void **state)
{
	static const double p[] = {0.1, 0.2, 0.7};
	int64_t seen[3] = {0};
	struct op_case c;
	float *in;

	(void)state;
	init(&c, "Multinomial", 22, true);
	op_case_int(&c, "sample_size", COUNT);
	op_case_int(&c, "dtype", DTYPE_S64);
	in = op_case_random(&c, 2, (int64_t[]){1, 3});
	/* Unnormalized log probabilities. */
	for (int i = 0; i < 3; i++)
		in[i] = (float)log(p[i] * 5);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){1, COUNT});
	for (int64_t i = 0; i < COUNT; i++) {
		int64_t drawn = ((int64_t *)c.outputs[0].data)[i];

		assert_in_range(drawn, 0, 2);
		seen[drawn]++;
	}
	for (int i = 0; i < 3; i++)
		assert_true(fabs((double)seen[i] / COUNT - p[i]) < 0.01);
	op_case_finish(&c);
}

static void random_types_are_checked(void **state)
{
	struct op_case c;

	(void)state;
	init(&c, "RandomNormal", 22, true);
	op_case_int(&c, "dtype", DTYPE_S32);
	op_case_ints(&c, "shape", 1, (int64_t[]){4});
	op_case_expect_error(&c, -EINVAL, "dtype = 6");
	op_case_finish(&c);
	init(&c, "Multinomial", 22, true);
	op_case_int(&c, "dtype", DTYPE_F32);
	op_case_random(&c, 2, (int64_t[]){1, 3});
	op_case_expect_error(&c, -EINVAL, "dtype = 1");
	op_case_finish(&c);
}

/* ---- Dropout ---- */

static void drop(struct op_case *c, int opset, float ratio, bool training, enum dtype type)
{
	struct tensor *x;

	op_case_init(c, "", "Dropout", opset);
	c->pool = pool;
	c->node.num_outputs = 2;
	op_case_int(c, "seed", 7);
	x = op_case_input(c, type, 1, (int64_t[]){COUNT});
	for (int64_t i = 0; i < COUNT; i++)
		if (type == DTYPE_F32)
			((float *)x->data)[i] = 3;
		else if (type == DTYPE_F16)
			((uint16_t *)x->data)[i] = f32_to_f16(3);
		else
			((uint8_t *)x->data)[i] = f32_to_narrow(type, 3, true);
	op_case_scalar_f32(c, ratio);
	*(uint8_t *)op_case_input(c, DTYPE_BOOL, 0, NULL)->data = training;
}

static void training_drops_and_scales(void **state)
{
	static const int opsets[] = {12, 13, 22, 22};
	static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_F32, DTYPE_F8E4M3FN};

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		enum dtype type = types[k];
		int64_t kept = 0;
		struct op_case c;

		drop(&c, opsets[k], 0.75f, true, type);
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, type);
		assert_int_equal(c.outputs[1].dtype, DTYPE_BOOL);
		for (int64_t i = 0; i < COUNT; i++) {
			uint8_t mask = ((uint8_t *)c.outputs[1].data)[i];

			assert_true(tensor_get_f64(&c.outputs[0], i) == (mask ? 12 : 0));
			kept += mask;
		}
		assert_true(fabs((double)kept / COUNT - 0.25) < 0.01);
		op_case_finish(&c);
	}
}

static void inference_keeps_everything(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct op_case c;

		/* Not training, and training with nothing to drop. */
		drop(&c, 13, k ? 0 : 0.5f, k, DTYPE_F32);
		op_case_expect_ok(&c);
		expect_same_bytes(&c.outputs[0], c.inputs[0].data);
		for (int64_t i = 0; i < COUNT; i++)
			assert_int_equal(((uint8_t *)c.outputs[1].data)[i], 1);
		op_case_finish(&c);
	}
}

/* Opset 6 trains unless is_test is set; its mask has the type of the data. Opset 7 knows no training. */
static void old_opsets_ask_by_attribute(void **state)
{
	static const struct {
		int opset, is_test;
		bool trains;
	} cases[] = {{6, 0, true}, {6, 1, false}, {7, 0, false}};

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		double mean, variance;
		struct op_case c;
		float *x;

		op_case_init(&c, "", "Dropout", cases[k].opset);
		c.node.num_outputs = 2;
		op_case_float(&c, "ratio", 0.5f);
		op_case_int(&c, "is_test", cases[k].is_test);
		x = op_case_random(&c, 1, (int64_t[]){COUNT});
		for (int64_t i = 0; i < COUNT; i++)
			x[i] = 1;
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[1].dtype, DTYPE_F32);
		mean_and_variance(&c.outputs[0], &mean, &variance);
		assert_true(fabs(mean - 1) < 0.03);
		assert_true(fabs(variance - (cases[k].trains ? 1 : 0)) < 0.03);
		op_case_finish(&c);
	}
}

static void bad_ratios_are_refused(void **state)
{
	struct op_case c;

	(void)state;
	drop(&c, 13, 1, true, DTYPE_F32);
	op_case_expect_error(&c, -EINVAL, "ratio 1 is not in [0, 1)");
	op_case_finish(&c);
	drop(&c, 13, -0.5f, true, DTYPE_F32);
	op_case_expect_error(&c, -EINVAL, "ratio -0.5");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(philox_gives_the_published_words), cmocka_unit_test(uniform_fills_its_range),
		cmocka_unit_test(normal_has_its_moments),           cmocka_unit_test(like_takes_shape_and_type),
		cmocka_unit_test(a_seed_fixes_the_numbers),         cmocka_unit_test(bernoulli_follows_its_input),
		cmocka_unit_test(multinomial_draws_by_probability), cmocka_unit_test(random_types_are_checked),
		cmocka_unit_test(training_drops_and_scales),        cmocka_unit_test(inference_keeps_everything),
		cmocka_unit_test(old_opsets_ask_by_attribute),      cmocka_unit_test(bad_ratios_are_refused),
	};
	int failed;

	if (cpu_pool_create(2, &pool))
		return 1;
	failed = cmocka_run_group_tests_name("random", tests, NULL, NULL);
	cpu_pool_destroy(pool);
	return failed;
}
