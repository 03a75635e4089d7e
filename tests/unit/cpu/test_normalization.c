// SPDX-License-Identifier: MIT
/*
 * Normalizations and softmax against their formulas in double.
 */
#include "tests/unit/cpu/op_case.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float y[4096];

/* Mean and variance of @count elements at @x, @stride apart. */
static void statistics(const float *x, int64_t count, int64_t stride, double *mean, double *variance)
{
	*mean = *variance = 0;
	for (int64_t i = 0; i < count; i++)
		*mean += x[i * stride] / (double)count;
	for (int64_t i = 0; i < count; i++)
		*variance += (x[i * stride] - *mean) * (x[i * stride] - *mean) / (double)count;
}

static void batch_normalization_scales_each_channel(void **state)
{
	int64_t dims[4] = {2, 5, 3, 7}, channels = 5;
	const float *x, *p[4];
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "BatchNormalization", 9);
	op_case_float(&c, "epsilon", 1e-3f);
	x = op_case_random(&c, 4, dims);
	for (int i = 0; i < 4; i++)
		p[i] = op_case_random(&c, 1, &channels);
	for (int i = 0; i < 5; i++)
		((float *)c.inputs[4].data)[i] = random_float(0.1f, 2);
	op_case_expect_ok(&c);
	for (int i = 0; i < 210; i++) {
		int ch = i / 21 % 5;

		y[i] = (float)((x[i] - p[2][ch]) / sqrt((double)p[3][ch] + 1e-3) * p[0][ch] + p[1][ch]);
	}
	expect_near(&c.outputs[0], y, 1e-4, 1e-5);
	op_case_finish(&c);
}

static void batch_normalization_in_training_returns_the_running_statistics(void **state)
{
	int64_t dims[3] = {3, 2, 4}, channels = 2;
	struct op_case c;
	const float *x;

	(void)state;
	op_case_init(&c, "", "BatchNormalization", 15);
	op_case_int(&c, "training_mode", 1);
	op_case_float(&c, "momentum", 0.75f);
	c.node.num_outputs = 3;
	x = op_case_random(&c, 3, dims);
	for (int i = 0; i < 4; i++)
		op_case_random(&c, 1, &channels);
	op_case_expect_ok(&c);
	for (int ch = 0; ch < 2; ch++) {
		double mean = 0, variance = 0;

		for (int i = 0; i < 12; i++)
			mean += x[(i / 4 * 2 + ch) * 4 + i % 4] / 12.0;
		for (int i = 0; i < 12; i++)
			variance += pow(x[(i / 4 * 2 + ch) * 4 + i % 4] - mean, 2) / 12;
		assert_float_equal(tensor_get_f64(&c.outputs[1], ch),
				   tensor_get_f64(&c.inputs[3], ch) * 0.75 + mean * 0.25, 1e-6);
		assert_float_equal(tensor_get_f64(&c.outputs[2], ch),
				   tensor_get_f64(&c.inputs[4], ch) * 0.75 + variance * 0.25, 1e-6);
	}
	op_case_finish(&c);
}

static void layer_normalization_works_on_trailing_axes(void **state)
{
	(void)state;
	for (int axis = -3; axis < 3; axis++) {
		int64_t dims[3] = {4, 5, 37}, n = 1;
		int first = axis < 0 ? axis + 3 : axis;
		const float *x, *scale, *bias;
		struct op_case c;

		for (int i = first; i < 3; i++)
			n *= dims[i];
		op_case_init(&c, "", "LayerNormalization", 17);
		op_case_int(&c, "axis", axis);
		c.node.num_outputs = 3;
		x = op_case_random(&c, 3, dims);
		scale = op_case_random(&c, 3 - first, dims + first);
		bias = op_case_random(&c, 3 - first, dims + first);
		op_case_expect_ok(&c);
		for (int64_t row = 0; row < 740 / n; row++) {
			double mean, variance;

			statistics(x + row * n, n, 1, &mean, &variance);
			assert_float_equal(tensor_get_f64(&c.outputs[1], row), mean, 1e-6);
			assert_float_equal(tensor_get_f64(&c.outputs[2], row), 1 / sqrt(variance + 1e-5), 1e-4);
			for (int64_t i = 0; i < n; i++)
				y[row * n + i] =
					(float)((x[row * n + i] - mean) / sqrt(variance + 1e-5) * scale[i] + bias[i]);
		}
		expect_near(&c.outputs[0], y, 1e-4, 1e-5);
		op_case_finish(&c);
	}
}

static void skip_layer_normalization_adds_first(void **state)
{
	int64_t dims[3] = {2, 3, 40}, n = 40;
	const float *x, *skip, *gamma, *beta, *bias;
	struct op_case c;

	(void)state;
	op_case_init(&c, "com.microsoft", "SkipLayerNormalization", 1);
	c.node.num_outputs = 4;
	x = op_case_random(&c, 3, dims);
	skip = op_case_random(&c, 2, dims + 1);
	gamma = op_case_random(&c, 1, &n);
	beta = op_case_random(&c, 1, &n);
	bias = op_case_random(&c, 1, &n);
	op_case_expect_ok(&c);
	for (int64_t row = 0; row < 6; row++) {
		float sum[40];
		double mean, variance;

		for (int i = 0; i < 40; i++)
			sum[i] = x[row * 40 + i] + skip[row % 3 * 40 + i] + bias[i];
		statistics(sum, 40, 1, &mean, &variance);
		for (int i = 0; i < 40; i++) {
			assert_float_equal(tensor_get_f64(&c.outputs[3], row * 40 + i), sum[i], 1e-6);
			y[row * 40 + i] = (float)((sum[i] - mean) / sqrt(variance + 1e-12) * gamma[i] + beta[i]);
		}
	}
	expect_near(&c.outputs[0], y, 1e-4, 1e-5);
	op_case_finish(&c);
}

static void rms_normalization_takes_no_mean_off(void **state)
{
	int64_t dims[2] = {3, 50};
	const float *x, *scale;
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "RMSNormalization", 23);
	x = op_case_random(&c, 2, dims);
	scale = op_case_random(&c, 1, dims + 1);
	op_case_expect_ok(&c);
	for (int row = 0; row < 3; row++) {
		double squares = 0;

		for (int i = 0; i < 50; i++)
			squares += (double)x[row * 50 + i] * x[row * 50 + i] / 50;
		for (int i = 0; i < 50; i++)
			y[row * 50 + i] = (float)(x[row * 50 + i] / sqrt(squares + 1e-5) * scale[i]);
	}
	expect_near(&c.outputs[0], y, 1e-5, 1e-6);
	op_case_finish(&c);
}

static void instance_and_group_normalization_use_their_planes(void **state)
{
	(void)state;
	for (int form = 0; form < 3; form++) {
		/* 0: InstanceNormalization, 1: GroupNormalization 18 (scale a group), 2: 21 (scale a channel) */
		int64_t dims[4] = {2, 6, 3, 5}, groups = form ? 2 : 6, scales = form == 1 ? 2 : 6, members = 6 / groups;
		const float *x, *scale, *bias;
		struct op_case c;

		op_case_init(&c, "", form ? "GroupNormalization" : "InstanceNormalization", form == 2 ? 21 : 18);
		if (form)
			op_case_int(&c, "num_groups", groups);
		x = op_case_random(&c, 4, dims);
		scale = op_case_random(&c, 1, &scales);
		bias = op_case_random(&c, 1, &scales);
		op_case_expect_ok(&c);
		for (int64_t g = 0; g < 2 * groups; g++) {
			double mean, variance;

			statistics(x + g * members * 15, members * 15, 1, &mean, &variance);
			for (int64_t i = 0; i < members * 15; i++) {
				int64_t channel = g % groups * members + i / 15, s = form == 1 ? g % groups : channel;

				y[g * members * 15 + i] =
					(float)((x[g * members * 15 + i] - mean) / sqrt(variance + 1e-5) * scale[s] +
						bias[s]);
			}
		}
		expect_near(&c.outputs[0], y, 1e-4, 1e-5);
		op_case_finish(&c);
	}
}

static void lrn_divides_by_the_neighbours(void **state)
{
	static const float betas[2] = {0.75f, 0.6f};

	(void)state;
	for (int64_t size = 1; size < 8; size++) {
		int64_t dims[4] = {2, 9, 3, 4};
		float beta = betas[size % 2];
		struct op_case c;
		const float *x;

		op_case_init(&c, "", "LRN", 13);
		op_case_int(&c, "size", size);
		op_case_float(&c, "alpha", 0.5f);
		op_case_float(&c, "beta", beta);
		op_case_float(&c, "bias", 2);
		x = op_case_random(&c, 4, dims);
		op_case_expect_ok(&c);
		for (int64_t i = 0; i < 216; i++) {
			int64_t channel = i / 12 % 9;
			double sum = 0;

			for (int64_t k = channel - (size - 1) / 2; k <= channel + size / 2; k++)
				if (k >= 0 && k < 9)
					sum += pow(x[i + (k - channel) * 12], 2);
			y[i] = (float)(x[i] / pow(2 + 0.5 / (double)size * sum, beta));
		}
		expect_near(&c.outputs[0], y, 1e-5, 1e-6);
		op_case_finish(&c);
	}
}

static void mean_variance_normalization_defaults_to_all_but_channels(void **state)
{
	int64_t dims[4] = {3, 2, 4, 5};
	struct op_case c;
	const float *x;

	(void)state;
	op_case_init(&c, "", "MeanVarianceNormalization", 13);
	x = op_case_random(&c, 4, dims);
	op_case_expect_ok(&c);
	for (int ch = 0; ch < 2; ch++) {
		double mean = 0, variance = 0;

		for (int i = 0; i < 60; i++)
			mean += x[(i / 20 * 2 + ch) * 20 + i % 20] / 60.0;
		for (int i = 0; i < 60; i++)
			variance += pow(x[(i / 20 * 2 + ch) * 20 + i % 20] - mean, 2) / 60;
		for (int i = 0; i < 60; i++) {
			int at = (i / 20 * 2 + ch) * 20 + i % 20;

			y[at] = (float)((x[at] - mean) / (sqrt(variance) + 1e-9));
		}
	}
	expect_near(&c.outputs[0], y, 1e-4, 1e-5);
	op_case_finish(&c);
}

static void lp_normalization_makes_the_norm_one(void **state)
{
	(void)state;
	for (int p = 1; p <= 2; p++)
		for (int axis = -2; axis < 3; axis++) {
			int64_t dims[3] = {4, 5, 6}, stride = 1;
			int a = axis < 0 ? axis + 3 : axis;
			const float *x;
			struct op_case c;

			for (int i = a + 1; i < 3; i++)
				stride *= dims[i];
			op_case_init(&c, "", "LpNormalization", 1);
			op_case_int(&c, "axis", axis);
			op_case_int(&c, "p", p);
			x = op_case_random(&c, 3, dims);
			op_case_expect_ok(&c);
			for (int64_t i = 0; i < 120; i++) {
				int64_t first = i / (stride * dims[a]) * stride * dims[a] + i % stride;
				double norm = 0;

				for (int64_t k = 0; k < dims[a]; k++)
					norm += p == 1 ? fabs(x[first + k * stride]) : pow(x[first + k * stride], 2);
				y[i] = (float)(x[i] / (p == 1 ? norm : sqrt(norm)));
			}
			expect_near(&c.outputs[0], y, 1e-5, 1e-6);
			op_case_finish(&c);
		}
}

/* Along n elements, @stride apart, from @x on. */
static void soft(const char *op, const float *x, int64_t n, int64_t stride, float *out)
{
	int64_t best = 0;
	double sum = 0;

	for (int64_t i = 1; i < n; i++)
		if (x[i * stride] > x[best * stride])
			best = i;
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)x[i * stride] - x[best * stride]);
	for (int64_t i = 0; i < n; i++) {
		double shifted = (double)x[i * stride] - x[best * stride];

		out[i * stride] = (float)(!strcmp(op, "Softmax")      ? exp(shifted) / sum
					  : !strcmp(op, "LogSoftmax") ? shifted - log(sum)
								      : i == best);
	}
}

static void softmax_follows_both_definitions(void **state)
{
	static const char *const ops[] = {"Softmax", "LogSoftmax", "Hardmax"};
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	for (int op = 0; op < 3; op++)
		for (int opset = 11; opset <= 13; opset += 2)
			for (int axis = -3; axis < 3; axis++) {
				int64_t dims[3] = {3, 7, 19}, n, inner = 1, total = 3 * 7 * 19;
				int a = axis < 0 ? axis + 3 : axis;
				struct op_case c;
				float *x;

				for (int i = a + 1; i < 3; i++)
					inner *= dims[i];
				n = opset >= 13 ? dims[a] : dims[a] * inner;
				inner = opset >= 13 ? inner : 1;
				op_case_init(&c, "", ops[op], opset);
				op_case_int(&c, "axis", axis);
				x = op_case_random(&c, 3, dims);
				for (int64_t i = 0; i < total; i++)
					x[i] = x[i] * 50 + 1000;
				c.pool = pool;
				op_case_expect_ok(&c);
				for (int64_t i = 0; i < total / n; i++) {
					int64_t first = i / inner * n * inner + i % inner;

					soft(ops[op], x + first, n, inner, y + first);
				}
				expect_near(&c.outputs[0], y, 2e-5, 1e-6);
				op_case_finish(&c);
			}
	cpu_pool_destroy(pool);
}

static void normalizations_refuse_what_does_not_fit(void **state)
{
	int64_t dims[4] = {1, 3, 2, 2}, three = 3, two = 2;
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "BatchNormalization", 9);
	op_case_random(&c, 4, dims);
	for (int i = 0; i < 4; i++)
		op_case_random(&c, 1, i == 2 ? &two : &three);
	op_case_expect_error(&c, -EINVAL, "input 3");
	op_case_finish(&c);

	op_case_init(&c, "", "LRN", 13);
	op_case_random(&c, 4, dims);
	op_case_expect_error(&c, -EINVAL, "size");
	op_case_finish(&c);

	op_case_init(&c, "", "Softmax", 13);
	op_case_int(&c, "axis", 4);
	op_case_random(&c, 4, dims);
	op_case_expect_error(&c, -EINVAL, "axis 4");
	op_case_finish(&c);

	op_case_init(&c, "", "GroupNormalization", 18);
	op_case_int(&c, "num_groups", 2);
	op_case_random(&c, 4, dims);
	op_case_random(&c, 1, &two);
	op_case_random(&c, 1, &two);
	op_case_expect_error(&c, -EINVAL, "num_groups");
	op_case_finish(&c);
}

static int seed(void **state)
{
	(void)state;
	random_seed();
	return 0;
}

/* Doubles have a loop of their own; the float32 one judges it, and a scale that stretches within a row. */
static void doubles_and_stretched_scales_agree_with_floats(void **state)
{
	int64_t dims[4] = {2, 6, 4, 3}, channels = 6;
	static const struct {
		const char *op;
		int opset, parameters;
	} ops[] = {{"InstanceNormalization", 6, 2}, {"GroupNormalization", 21, 2},
		   {"BatchNormalization", 15, 4},   {"LRN", 13, 0},
		   {"LpNormalization", 1, 0},       {"MeanVarianceNormalization", 13, 0}};

	(void)state;
	for (size_t k = 0; k < sizeof(ops) / sizeof(ops[0]); k++) {
		struct op_case single, wide;

		op_case_init(&single, "", ops[k].op, ops[k].opset);
		op_case_init(&wide, "", ops[k].op, ops[k].opset);
		op_case_int(&single, "num_groups", 3);
		op_case_int(&wide, "num_groups", 3);
		op_case_int(&single, "size", 3);
		op_case_int(&wide, "size", 3);
		for (int i = 0; i <= ops[k].parameters; i++) {
			const float *values = op_case_random(&single, i ? 1 : 4, i ? &channels : dims);
			double *doubles = op_case_input(&wide, DTYPE_F64, i ? 1 : 4, i ? &channels : dims)->data;

			for (int64_t j = 0; j < tensor_count(&single.inputs[i]); j++) {
				if (i == 4) /* a variance */
					((float *)single.inputs[i].data)[j] = fabsf(values[j]) + 0.1f;
				doubles[j] = values[j];
			}
		}
		op_case_expect_ok(&single);
		op_case_expect_ok(&wide);
		assert_int_equal(wide.outputs[0].dtype, DTYPE_F64);
		for (int64_t j = 0; j < 144; j++)
			assert_float_equal(((double *)wide.outputs[0].data)[j], ((float *)single.outputs[0].data)[j],
					   1e-4);
		op_case_finish(&single);
		op_case_finish(&wide);
	}
}

static void layer_normalization_stretches_its_scale(void **state)
{
	int64_t dims[3] = {2, 3, 4}, column[2] = {3, 1};
	const float *x, *scale;
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "LayerNormalization", 17);
	op_case_int(&c, "axis", 1);
	x = op_case_random(&c, 3, dims);
	scale = op_case_random(&c, 2, column);
	op_case_expect_ok(&c);
	for (int row = 0; row < 2; row++) {
		double mean, variance;

		statistics(x + row * 12, 12, 1, &mean, &variance);
		for (int i = 0; i < 12; i++)
			y[row * 12 + i] = (float)((x[row * 12 + i] - mean) / sqrt(variance + 1e-5) * scale[i / 4]);
	}
	expect_near(&c.outputs[0], y, 1e-4, 1e-5);
	op_case_finish(&c);
}

/* Opset 7, spatial = 0: every activation has statistics of its own, over the batch; outputs 3 and 4 are those. */
static void batch_normalization_trains_by_activation(void **state)
{
	int64_t dims[3] = {5, 2, 3};
	const float *x;
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "BatchNormalization", 7);
	op_case_int(&c, "spatial", 0);
	c.node.num_outputs = 5;
	x = op_case_random(&c, 3, dims);
	for (int i = 0; i < 4; i++)
		op_case_random(&c, 2, dims + 1);
	op_case_expect_ok(&c);
	for (int a = 0; a < 6; a++) {
		double mean = 0, variance = 0;

		for (int n = 0; n < 5; n++)
			mean += x[n * 6 + a] / 5.0;
		for (int n = 0; n < 5; n++)
			variance += pow(x[n * 6 + a] - mean, 2) / 5;
		for (int n = 0; n < 5; n++)
			assert_float_equal(tensor_get_f64(&c.outputs[0], n * 6 + a),
					   (x[n * 6 + a] - mean) / sqrt(variance + 1e-5) *
							   tensor_get_f64(&c.inputs[1], a) +
						   tensor_get_f64(&c.inputs[2], a),
					   1e-4);
		assert_float_equal(tensor_get_f64(&c.outputs[1], a), tensor_get_f64(&c.inputs[3], a) * 0.9 + mean * 0.1,
				   1e-5);
		assert_float_equal(tensor_get_f64(&c.outputs[3], a), mean, 1e-5);
		assert_float_equal(tensor_get_f64(&c.outputs[4], a), variance, 1e-5);
	}
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_and_stretched_scales_agree_with_floats),
		cmocka_unit_test(layer_normalization_stretches_its_scale),
		cmocka_unit_test(batch_normalization_trains_by_activation),
		cmocka_unit_test(batch_normalization_scales_each_channel),
		cmocka_unit_test(batch_normalization_in_training_returns_the_running_statistics),
		cmocka_unit_test(layer_normalization_works_on_trailing_axes),
		cmocka_unit_test(skip_layer_normalization_adds_first),
		cmocka_unit_test(rms_normalization_takes_no_mean_off),
		cmocka_unit_test(instance_and_group_normalization_use_their_planes),
		cmocka_unit_test(lrn_divides_by_the_neighbours),
		cmocka_unit_test(mean_variance_normalization_defaults_to_all_but_channels),
		cmocka_unit_test(lp_normalization_makes_the_norm_one),
		cmocka_unit_test(softmax_follows_both_definitions),
		cmocka_unit_test(normalizations_refuse_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
