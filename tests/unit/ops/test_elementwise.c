// SPDX-License-Identifier: MIT
/*
 * Elementwise operators against one plain loop over all output indices, on random shapes that broadcast.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

/* Two shapes that broadcast to @dims: some dimensions 1, leading ones dropped. */
static int random_part(int rank, const int64_t *dims, int64_t *part)
{
	int dropped = rank > 0 ? random_below(rank + 1) : 0;

	for (int i = dropped; i < rank; i++)
		part[i - dropped] = random_below(3) == 0 ? 1 : dims[i];
	return rank - dropped;
}

static int64_t broadcast_index(const struct tensor *t, const struct tensor *out, int64_t i)
{
	int64_t at = 0, stride = 1;

	for (int d = out->rank - 1; d >= 0; d--) {
		int from = d - (out->rank - t->rank);

		if (from >= 0) {
			at += (t->dims[from] == 1 ? 0 : i % out->dims[d]) * stride;
			stride *= t->dims[from];
		}
		i /= out->dims[d];
	}
	return at;
}

static void expect_subtraction(struct op_case *c)
{
	const struct tensor *a = &c->inputs[0], *b = &c->inputs[1], *out = &c->outputs[0];

	for (int64_t i = 0; i < tensor_count(out); i++) {
		float x = ((float *)a->data)[broadcast_index(a, out, i)];
		float y = ((float *)b->data)[broadcast_index(b, out, i)];

		assert_true(((float *)out->data)[i] == x - y);
	}
}

static void broadcasting_matches_plain_indexing(void **state)
{
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(3, &pool), 0);
	for (int round = 0; round < 300; round++) {
		int64_t dims[6], a[6], b[6];
		int rank = random_below(7), rank_a, rank_b;
		struct op_case c;

		for (int i = 0; i < rank; i++)
			dims[i] = round % 50 == 0 && i < 4 ? 20 + random_below(4) : 1 + random_below(5);
		rank_a = random_part(rank, dims, a);
		rank_b = random_part(rank, dims, b);
		op_case_init(&c, "", "Sub", 13);
		c.pool = round % 2 ? pool : NULL;
		op_case_random(&c, rank_a, a);
		op_case_random(&c, rank_b, b);
		op_case_expect_ok(&c);
		expect_subtraction(&c);
		op_case_finish(&c);
	}
	cpu_pool_destroy(pool);
}

static void binary_s32(const char *op, int64_t fmod, int32_t x, int32_t y, int32_t expected)
{
	struct op_case c;

	op_case_init(&c, "", op, 14);
	if (!strcmp(op, "Mod"))
		op_case_int(&c, "fmod", fmod);
	*(int32_t *)op_case_input(&c, DTYPE_S32, 0, NULL)->data = x;
	*(int32_t *)op_case_input(&c, DTYPE_S32, 0, NULL)->data = y;
	op_case_expect_ok(&c);
	assert_int_equal(*(int32_t *)c.outputs[0].data, expected);
	op_case_finish(&c);
}

static void integers_wrap_and_never_trap(void **state)
{
	(void)state;
	binary_s32("Add", 0, INT32_MAX, 1, INT32_MIN);
	binary_s32("Mul", 0, INT32_MAX, INT32_MAX, 1);
	binary_s32("Div", 0, INT32_MIN, -1, INT32_MIN);
	binary_s32("Div", 0, 7, 0, 0);
	binary_s32("Div", 0, -7, 2, -3);
	binary_s32("Pow", 0, -3, 3, -27);
	binary_s32("Pow", 0, 2, -1, 0);
}

static void modulo_takes_the_sign_that_fmod_says(void **state)
{
	(void)state;
	binary_s32("Mod", 0, -7, 3, 2);
	binary_s32("Mod", 0, 7, -3, -2);
	binary_s32("Mod", 1, -7, 3, -1);
	binary_s32("Mod", 1, 7, -3, 1);
	binary_s32("Mod", 0, INT32_MIN, -1, 0);
	binary_s32("Mod", 0, 5, 0, 0);
}

static void half_floats_round_once(void **state)
{
	struct op_case c;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		float x = random_float(-100, 100), y = random_float(-100, 100);
		uint16_t hx = f32_to_f16(x), hy = f32_to_f16(y);

		op_case_init(&c, "", "Mul", 13);
		*(uint16_t *)op_case_input(&c, DTYPE_F16, 0, NULL)->data = hx;
		*(uint16_t *)op_case_input(&c, DTYPE_F16, 0, NULL)->data = hy;
		op_case_expect_ok(&c);
		assert_int_equal(*(uint16_t *)c.outputs[0].data, f32_to_f16(f16_to_f32(hx) * f16_to_f32(hy)));
		op_case_finish(&c);
	}
}

/* From double to half in one rounding: this one lies just above the middle of two halves, and on it as a float. */
static void casts_to_half_round_once(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Cast", 13);
	op_case_int(&c, "to", DTYPE_F16);
	*(double *)op_case_input(&c, DTYPE_F64, 0, NULL)->data = 1 + 0x1p-11 + 0x1p-40;
	op_case_expect_ok(&c);
	assert_true(f16_to_f32(*(uint16_t *)c.outputs[0].data) == 1 + 0x1p-10f);
	op_case_finish(&c);
}

static void casts_saturate(void **state)
{
	const float values[] = {NAN, INFINITY, -INFINITY, 1e20f, -1, 200.7f};
	const uint8_t expected[] = {0, 255, 0, 255, 0, 200};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Cast", 13);
	op_case_int(&c, "to", DTYPE_U8);
	memcpy(op_case_input(&c, DTYPE_F32, 1, (int64_t[]){6})->data, values, sizeof(values));
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], expected);
	op_case_finish(&c);
}

static void every_half_survives_a_cast_to_float_and_back(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Cast", 13);
	op_case_int(&c, "to", DTYPE_F32);
	op_case_input(&c, DTYPE_F16, 1, (int64_t[]){65536});
	for (int i = 0; i < 65536; i++)
		((uint16_t *)c.inputs[0].data)[i] = i;
	op_case_expect_ok(&c);
	for (int i = 0; i < 65536; i++) {
		float got = ((float *)c.outputs[0].data)[i], want = f16_to_f32(i);

		assert_true(isnan(want) ? isnan(got) : !memcmp(&got, &want, sizeof(got)));
	}
	op_case_finish(&c);
}

/* The vectorised conversion against the one of single values, for all signs, exponents and roundings. */
static void floats_become_halves_as_single_values_do(void **state)
{
	enum { STEP = 1021, COUNT = (1LL << 32) / STEP };
	const enum dtype halves[] = {DTYPE_F16, DTYPE_BF16};

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct op_case c;

		op_case_init(&c, "", "Cast", 13);
		op_case_int(&c, "to", halves[k]);
		op_case_input(&c, DTYPE_F32, 1, (int64_t[]){COUNT});
		for (uint32_t i = 0; i < COUNT; i++)
			((uint32_t *)c.inputs[0].data)[i] = i * STEP;
		op_case_expect_ok(&c);
		for (uint32_t i = 0; i < COUNT; i++) {
			float x = ((float *)c.inputs[0].data)[i];

			assert_int_equal(((uint16_t *)c.outputs[0].data)[i], k ? f32_to_bf16(x) : f32_to_f16(x));
		}
		op_case_finish(&c);
	}
}

static void maximum_of_many_spreads_nan(void **state)
{
	struct op_case c;
	float *out;

	(void)state;
	op_case_init(&c, "", "Max", 13);
	memcpy(op_case_input(&c, DTYPE_F32, 1, (int64_t[]){3})->data, (float[]){1, NAN, -5}, 12);
	memcpy(op_case_input(&c, DTYPE_F32, 2, (int64_t[]){2, 1})->data, (float[]){0, 2}, 8);
	memcpy(op_case_input(&c, DTYPE_F32, 0, NULL)->data, (float[]){-1}, 4);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){2, 3});
	out = c.outputs[0].data;
	assert_true(out[0] == 1 && isnan(out[1]) && out[2] == 0 && out[3] == 2 && isnan(out[4]) && out[5] == 2);
	op_case_finish(&c);
}

static void old_opsets_align_at_an_axis(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Add", 6);
	op_case_int(&c, "broadcast", 1);
	op_case_int(&c, "axis", 1);
	op_case_random(&c, 4, (int64_t[]){2, 3, 4, 5});
	op_case_random(&c, 2, (int64_t[]){3, 4});
	op_case_expect_ok(&c);
	for (int i = 0; i < 120; i++)
		assert_true(((float *)c.outputs[0].data)[i] ==
			    ((float *)c.inputs[0].data)[i] + ((float *)c.inputs[1].data)[i / 5 % 12]);
	op_case_finish(&c);
}

static void errors_name_the_input(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Add", 13);
	op_case_random(&c, 1, (int64_t[]){3});
	op_case_random(&c, 1, (int64_t[]){4});
	op_case_expect_error(&c, -EINVAL, "input 1");
	op_case_finish(&c);

	op_case_init(&c, "", "Mul", 13);
	op_case_random(&c, 1, (int64_t[]){3});
	op_case_input(&c, DTYPE_S32, 1, (int64_t[]){3});
	op_case_expect_error(&c, -EINVAL, "input 1 is int32 but input 0 is float32");
	op_case_finish(&c);

	op_case_init(&c, "", "Mod", 13);
	op_case_random(&c, 1, (int64_t[]){3});
	op_case_random(&c, 1, (int64_t[]){3});
	op_case_expect_error(&c, -EINVAL, "fmod");
	op_case_finish(&c);

	op_case_init(&c, "", "Add", 13);
	op_case_input(&c, DTYPE_BOOL, 0, NULL);
	op_case_input(&c, DTYPE_BOOL, 0, NULL);
	op_case_expect_error(&c, -ENOTSUP, "bool");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broadcasting_matches_plain_indexing),
		cmocka_unit_test(integers_wrap_and_never_trap),
		cmocka_unit_test(modulo_takes_the_sign_that_fmod_says),
		cmocka_unit_test(half_floats_round_once),
		cmocka_unit_test(casts_to_half_round_once),
		cmocka_unit_test(casts_saturate),
		cmocka_unit_test(every_half_survives_a_cast_to_float_and_back),
		cmocka_unit_test(floats_become_halves_as_single_values_do),
		cmocka_unit_test(maximum_of_many_spreads_nan),
		cmocka_unit_test(old_opsets_align_at_an_axis),
		cmocka_unit_test(errors_name_the_input),
	};

	random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
