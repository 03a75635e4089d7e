// SPDX-License-Identifier: MIT
/*
 * Gather, Scatter and Resize: what indices that are data do, also hostile ones.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

static void set_s64(struct op_case *c, int rank, const int64_t *dims, const int64_t *values)
{
	struct tensor *t = op_case_input(c, DTYPE_S64, rank, dims);

	memcpy(t->data, values, tensor_bytes(t));
}

static void gather_counts_from_both_ends(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Gather", 13);
	op_case_int(&c, "axis", 1);
	op_case_random(&c, 3, (int64_t[]){2, 4, 3});
	set_s64(&c, 2, (int64_t[]){1, 2}, (int64_t[]){-1, 2});
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){2, 1, 2, 3});
	for (int o = 0; o < 2; o++)
		for (int i = 0; i < 3; i++) {
			float *in = (float *)c.inputs[0].data + o * 12, *out = (float *)c.outputs[0].data + o * 6;

			assert_true(out[i] == in[3 * 3 + i] && out[3 + i] == in[2 * 3 + i]);
		}
	op_case_finish(&c);
}

static void indices_out_of_range_are_refused(void **state)
{
	static const struct {
		const char *op;
		bool updates;
	} ops[] = {{"Gather", false}, {"GatherElements", false}, {"ScatterElements", true}};

	(void)state;
	for (int i = 0; i < 3; i++)
		for (int negative = 0; negative < 2; negative++) {
			struct op_case c;

			op_case_init(&c, "", ops[i].op, 16);
			op_case_random(&c, 1, (int64_t[]){4});
			set_s64(&c, 1, (int64_t[]){1}, (int64_t[]){negative ? -5 : 4});
			if (ops[i].updates)
				op_case_random(&c, 1, (int64_t[]){1});
			op_case_expect_error(&c, -EINVAL, "out of range");
			op_case_finish(&c);
		}
}

static void tuples_out_of_range_are_refused(void **state)
{
	(void)state;
	for (int scatter = 0; scatter < 2; scatter++) {
		struct op_case c;

		op_case_init(&c, "", scatter ? "ScatterND" : "GatherND", 16);
		op_case_random(&c, 2, (int64_t[]){4, 3});
		set_s64(&c, 2, (int64_t[]){1, 2}, (int64_t[]){1, INT64_MIN});
		if (scatter)
			op_case_random(&c, 1, (int64_t[]){1});
		op_case_expect_error(&c, -EINVAL, "axis 1");
		op_case_finish(&c);
	}
}

static void scatter_adds_where_indices_repeat(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "ScatterND", 16);
	op_case_string(&c, "reduction", "add");
	op_case_input(&c, DTYPE_F32, 1, (int64_t[]){4});
	set_s64(&c, 2, (int64_t[]){3, 1}, (int64_t[]){1, 1, -1});
	memcpy(op_case_input(&c, DTYPE_F32, 1, (int64_t[]){3})->data, (float[]){1, 2, 4}, 12);
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], (float[]){0, 3, 0, 4});
	op_case_finish(&c);
}

/* Half-pixel linear interpolation of a ramp is the ramp, away from the edges. */
static void linear_resize_keeps_a_ramp(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Resize", 13);
	op_case_string(&c, "mode", "linear");
	op_case_input(&c, DTYPE_F32, 4, (int64_t[]){1, 2, 8, 16});
	for (int i = 0; i < 256; i++)
		((float *)c.inputs[0].data)[i] = (float)(i % 16) + 100 * (float)(i / 16 % 8);
	op_case_omit(&c);
	memcpy(op_case_input(&c, DTYPE_F32, 1, (int64_t[]){4})->data, (float[]){1, 1, 2, 4}, 16);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){1, 2, 16, 64});
	for (int y = 1; y < 15; y++)
		for (int x = 2; x < 62; x++) {
			float want = ((float)x + 0.5f) / 4 - 0.5f + 100 * (((float)y + 0.5f) / 2 - 0.5f);

			assert_true(fabsf(((float *)c.outputs[0].data)[y * 64 + x] - want) < 1e-3f);
		}
	op_case_finish(&c);
}

static void resize_refuses_hostile_scales(void **state)
{
	const float scales[] = {0, -1, NAN, INFINITY, 1e30f};

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct op_case c;

		op_case_init(&c, "", "Resize", 13);
		op_case_random(&c, 1, (int64_t[]){4});
		op_case_omit(&c);
		op_case_scalar_f32(&c, 0);
		c.inputs[2].rank = 1;
		c.inputs[2].dims[0] = 1;
		*(float *)c.inputs[2].data = scales[i];
		op_case_expect_error(&c, -EINVAL, "scale");
		op_case_finish(&c);
	}
}

static void suppression_keeps_the_best_of_overlapping_boxes(void **state)
{
	const float boxes[] = {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 10, 1, 11}, scores[] = {0.8f, 0.9f, 0.1f};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "NonMaxSuppression", 11);
	memcpy(op_case_input(&c, DTYPE_F32, 3, (int64_t[]){1, 3, 4})->data, boxes, sizeof(boxes));
	memcpy(op_case_input(&c, DTYPE_F32, 3, (int64_t[]){1, 1, 3})->data, scores, sizeof(scores));
	set_s64(&c, 1, (int64_t[]){1}, (int64_t[]){INT64_MAX});
	op_case_scalar_f32(&c, 0.5f);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){2, 3});
	expect_same_bytes(&c.outputs[0], (int64_t[]){0, 0, 1, 0, 0, 2});
	op_case_finish(&c);
}

static void tensor_scatter_writes_rows_of_a_cache(void **state)
{
	int64_t dims[3] = {2, 4, 3}, rows[3] = {2, 2, 3}, batch = 2;

	(void)state;
	for (int circular = 0; circular < 2; circular++) {
		const int64_t start[2] = {1, circular ? 3 : 2};
		struct tensor *starts;
		const float *cache, *update;
		struct op_case c;
		float want[24];

		op_case_init(&c, "", "TensorScatter", 24);
		op_case_string(&c, "mode", circular ? "circular" : "linear");
		cache = op_case_random(&c, 3, dims);
		update = op_case_random(&c, 3, rows);
		starts = op_case_input(&c, DTYPE_S64, 1, &batch);
		memcpy(starts->data, start, sizeof(start));
		memcpy(want, cache, sizeof(want));
		for (int b = 0; b < 2; b++)
			for (int row = 0; row < 2; row++)
				memcpy(want + b * 12 + (start[b] + row) % 4 * 3, update + b * 6 + row * 3,
				       3 * sizeof(float));
		op_case_expect_ok(&c);
		expect_same_bytes(&c.outputs[0], want);
		((int64_t *)starts->data)[1] = circular ? 4 : 3;
		op_case_expect_error(&c, -EINVAL, "2 rows at");
		op_case_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tensor_scatter_writes_rows_of_a_cache),
		cmocka_unit_test(gather_counts_from_both_ends),
		cmocka_unit_test(indices_out_of_range_are_refused),
		cmocka_unit_test(tuples_out_of_range_are_refused),
		cmocka_unit_test(scatter_adds_where_indices_repeat),
		cmocka_unit_test(linear_resize_keeps_a_ramp),
		cmocka_unit_test(resize_refuses_hostile_scales),
		cmocka_unit_test(suppression_keeps_the_best_of_overlapping_boxes),
	};

	random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
