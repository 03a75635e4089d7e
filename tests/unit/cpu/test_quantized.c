// SPDX-License-Identifier: MIT
/*
 * The quantized operators against integer loops and the requantization formula: results must be equal, not near.
 */
#include "tests/unit/cpu/op_case.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t between(int64_t low, int64_t high)
{
	return low + random_below((uint32_t)(high - low + 1));
}

static enum dtype any_byte(void)
{
	return between(0, 1) ? DTYPE_U8 : DTYPE_S8;
}

static int64_t value(const struct tensor *t, int64_t i)
{
	return tensor_get_s64(t, tensor_count(t) == 1 ? 0 : i);
}

/* saturate(round_half_even(acc * multiplier) + zero), with the C library's rounding. */
static int64_t requantize(int64_t acc, float multiplier, int64_t zero, enum dtype dtype)
{
	double rounded = nearbyint((double)((float)(int32_t)acc * multiplier)) + (double)zero;
	double low = dtype == DTYPE_S8 ? -128 : 0, high = dtype == DTYPE_S8 ? 127 : 255;

	return (int64_t)fmin(fmax(rounded, low), high);
}

static struct tensor *add_scales(struct op_case *c, int64_t count)
{
	struct tensor *t = op_case_input(c, DTYPE_F32, count > 1 ? 1 : 0, &count);

	for (int64_t i = 0; i < count; i++)
		((float *)t->data)[i] = random_float(0.002f, 0.02f);
	return t;
}

static struct tensor *add_zeros(struct op_case *c, enum dtype dtype, int64_t count)
{
	op_case_random_bytes(c, dtype, count > 1 ? 1 : 0, &count);
	return &c->inputs[c->node.num_inputs - 1];
}

struct shape {
	int64_t batch, group, inputs, channels; /* of a group */
	int64_t in[2], kernel[2], stride[2], dilation[2], pads[4], out[2];
};

static struct shape random_shape(void)
{
	struct shape s = {.batch = between(1, 2), .group = between(0, 1) ? 1 : between(2, 4)};

	s.inputs = between(0, 2) ? between(1, 12) : 1;
	s.channels = between(0, 2) ? between(1, 20) : 1;
	for (int i = 0; i < 2; i++) {
		s.kernel[i] = between(1, 5);
		s.stride[i] = between(1, 3);
		s.dilation[i] = between(1, 2);
		s.pads[i] = between(0, 3);
		s.pads[i + 2] = between(0, 3);
		s.in[i] = between(1, 18) + (s.kernel[i] - 1) * s.dilation[i];
		s.out[i] =
			(s.in[i] + s.pads[i] + s.pads[i + 2] - (s.kernel[i] - 1) * s.dilation[i] - 1) / s.stride[i] + 1;
	}
	return s;
}

static int64_t sum_at(const struct shape *s, const struct tensor *x, const struct tensor *w,
		      const struct tensor *x_zero, const struct tensor *w_zero, int64_t n, int64_t m, int64_t oy,
		      int64_t ox)
{
	int64_t sum = 0;

	for (int64_t c = 0; c < s->inputs; c++)
		for (int64_t ky = 0; ky < s->kernel[0]; ky++)
			for (int64_t kx = 0; kx < s->kernel[1]; kx++) {
				int64_t y = oy * s->stride[0] + ky * s->dilation[0] - s->pads[0];
				int64_t u = ox * s->stride[1] + kx * s->dilation[1] - s->pads[1];
				int64_t plane = (n * s->group + m / s->channels) * s->inputs + c;

				if (y < 0 || y >= s->in[0] || u < 0 || u >= s->in[1])
					continue;
				sum += (value(x, (plane * s->in[0] + y) * s->in[1] + u) - value(x_zero, 0)) *
				       (value(w, ((m * s->inputs + c) * s->kernel[0] + ky) * s->kernel[1] + kx) -
					value(w_zero, m));
			}
	return sum;
}

static void set_attributes(struct op_case *c, const struct shape *s)
{
	op_case_int(c, "group", s->group);
	op_case_ints(c, "strides", 2, s->stride);
	op_case_ints(c, "dilations", 2, s->dilation);
	op_case_ints(c, "pads", 4, s->pads);
}

static void check_qlinear_conv(struct cpu_pool *pool)
{
	struct shape s = random_shape();
	int64_t channels = s.group * s.channels, per = between(0, 1) ? channels : 1;
	enum dtype x_dtype = any_byte(), w_dtype = any_byte();
	struct tensor *x_scale, *x_zero, *w_scale, *w_zero, *y_scale, *y_zero, *bias = NULL;
	struct op_case c;

	op_case_init(&c, "", "QLinearConv", 10);
	set_attributes(&c, &s);
	op_case_random_bytes(&c, x_dtype, 4, (int64_t[]){s.batch, s.group * s.inputs, s.in[0], s.in[1]});
	x_scale = add_scales(&c, 1);
	x_zero = add_zeros(&c, x_dtype, 1);
	op_case_random_bytes(&c, w_dtype, 4, (int64_t[]){channels, s.inputs, s.kernel[0], s.kernel[1]});
	w_scale = add_scales(&c, per);
	w_zero = add_zeros(&c, w_dtype, per);
	y_scale = add_scales(&c, 1);
	y_zero = add_zeros(&c, x_dtype, 1);
	if (between(0, 1)) {
		bias = op_case_input(&c, DTYPE_S32, 1, &channels);
		for (int64_t i = 0; i < channels; i++)
			((int32_t *)bias->data)[i] = (int32_t)between(-30000, 30000);
	}
	c.pool = pool;
	c.constants = between(0, 1) ? 1u << 3 | 1u << 5 : 0;
	op_case_expect_ok(&c);
	assert_int_equal(c.outputs[0].dtype, x_dtype);
	expect_shape(&c.outputs[0], 4, (int64_t[]){s.batch, channels, s.out[0], s.out[1]});
	for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
		int64_t m = i / (s.out[0] * s.out[1]) % channels, n = i / (s.out[0] * s.out[1]) / channels;
		int64_t acc = sum_at(&s, &c.inputs[0], &c.inputs[3], x_zero, w_zero, n, m, i / s.out[1] % s.out[0],
				     i % s.out[1]);
		float multiplier = (float)tensor_get_f64(x_scale, 0) * ((float *)w_scale->data)[per > 1 ? m : 0] /
				   (float)tensor_get_f64(y_scale, 0);

		if (bias)
			acc += value(bias, m);
		assert_int_equal(tensor_get_s64(&c.outputs[0], i),
				 requantize(acc, multiplier, value(y_zero, 0), x_dtype));
	}
	op_case_finish(&c);
}

static void qlinear_conv_is_exact(void **state)
{
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	for (int i = 0; i < 120; i++)
		check_qlinear_conv(i % 2 ? pool : NULL);
	cpu_pool_destroy(pool);
}

static void conv_integer_is_exact(void **state)
{
	(void)state;
	for (int round = 0; round < 40; round++) {
		struct shape s = random_shape();
		int64_t channels = s.group * s.channels;
		enum dtype x_dtype = any_byte(), w_dtype = any_byte();
		struct tensor *x_zero, *w_zero;
		struct op_case c;

		op_case_init(&c, "", "ConvInteger", 10);
		set_attributes(&c, &s);
		op_case_random_bytes(&c, x_dtype, 4, (int64_t[]){s.batch, s.group * s.inputs, s.in[0], s.in[1]});
		op_case_random_bytes(&c, w_dtype, 4, (int64_t[]){channels, s.inputs, s.kernel[0], s.kernel[1]});
		x_zero = add_zeros(&c, x_dtype, 1);
		w_zero = add_zeros(&c, w_dtype, channels);
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, DTYPE_S32);
		for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
			int64_t plane = i / (s.out[0] * s.out[1]);

			assert_int_equal(tensor_get_s64(&c.outputs[0], i),
					 sum_at(&s, &c.inputs[0], &c.inputs[1], x_zero, w_zero, plane / channels,
						plane % channels, i / s.out[1] % s.out[0], i % s.out[1]));
		}
		op_case_finish(&c);
	}
}

static int64_t dot(const struct tensor *a, const struct tensor *b, const struct tensor *a_zero,
		   const struct tensor *b_zero, int64_t n, int64_t k, int64_t i, int64_t j)
{
	int64_t sum = 0;

	for (int64_t l = 0; l < k; l++)
		sum += (value(a, i * k + l) - value(a_zero, i)) * (value(b, l * n + j) - value(b_zero, j));
	return sum;
}

static void matmul_integer_is_exact(void **state)
{
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	for (int round = 0; round < 60; round++) {
		int64_t m = between(1, 40), n = between(1, 80), k = between(1, round % 6 ? 50 : 3000);
		enum dtype a_dtype = any_byte(), b_dtype = any_byte();
		struct tensor *a_zero, *b_zero;
		struct op_case c;

		op_case_init(&c, "", "MatMulInteger", 10);
		op_case_random_bytes(&c, a_dtype, 2, (int64_t[]){m, k});
		op_case_random_bytes(&c, b_dtype, 2, (int64_t[]){k, n});
		a_zero = add_zeros(&c, a_dtype, between(0, 1) ? m : 1);
		b_zero = add_zeros(&c, b_dtype, between(0, 1) ? n : 1);
		c.pool = round % 2 ? pool : NULL;
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 2, (int64_t[]){m, n});
		for (int64_t i = 0; i < m * n; i++)
			assert_int_equal(tensor_get_s64(&c.outputs[0], i),
					 dot(&c.inputs[0], &c.inputs[1], a_zero, b_zero, n, k, i / n, i % n));
		op_case_finish(&c);
	}
	cpu_pool_destroy(pool);
}

static void qlinear_matmul_is_exact(void **state)
{
	(void)state;
	for (int round = 0; round < 40; round++) {
		int64_t m = between(1, 30), n = between(1, 70), k = between(1, 60), per = between(0, 1) ? n : 1;
		enum dtype a_dtype = any_byte(), b_dtype = any_byte(), y_dtype = any_byte();
		struct tensor *a_scale, *a_zero, *b_scale, *b_zero, *y_scale, *y_zero;
		struct op_case c;

		op_case_init(&c, "", "QLinearMatMul", 10);
		op_case_random_bytes(&c, a_dtype, 2, (int64_t[]){m, k});
		a_scale = add_scales(&c, 1);
		a_zero = add_zeros(&c, a_dtype, 1);
		op_case_random_bytes(&c, b_dtype, 2, (int64_t[]){k, n});
		b_scale = add_scales(&c, per);
		b_zero = add_zeros(&c, b_dtype, per);
		y_scale = add_scales(&c, 1);
		y_zero = add_zeros(&c, y_dtype, 1);
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, y_dtype);
		for (int64_t i = 0; i < m * n; i++) {
			float multiplier = ((float *)a_scale->data)[0] * ((float *)b_scale->data)[per > 1 ? i % n : 0] /
					   ((float *)y_scale->data)[0];
			int64_t acc = dot(&c.inputs[0], &c.inputs[3], a_zero, b_zero, n, k, i / n, i % n);

			assert_int_equal(tensor_get_s64(&c.outputs[0], i),
					 requantize(acc, multiplier, value(y_zero, 0), y_dtype));
		}
		op_case_finish(&c);
	}
}

static void quantize_rounds_half_to_even_and_saturates(void **state)
{
	static const float x[12] = {0.5f, 1.5f,  2.5f,      -0.5f,    -1.5f,  300,
				    -300, 1e30f, -INFINITY, INFINITY, 126.5f, 127.49f};
	static const int8_t y[12] = {0, 2, 2, 0, -2, 127, -128, 127, -128, 127, 126, 127};
	int64_t count = 12;
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "QuantizeLinear", 13);
	memcpy(op_case_input(&c, DTYPE_F32, 1, &count)->data, x, sizeof(x));
	op_case_scalar_f32(&c, 1);
	op_case_input(&c, DTYPE_S8, 0, NULL);
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], y);
	op_case_finish(&c);
}

static void quantize_and_dequantize_by_channel(void **state)
{
	int64_t dims[3] = {2, 3, 5}, channels = 3;
	struct tensor *scale, *zero;
	struct op_case c, d;
	float *x;

	(void)state;
	op_case_init(&c, "", "QuantizeLinear", 13);
	op_case_int(&c, "axis", -2);
	x = op_case_random(&c, 3, dims);
	scale = add_scales(&c, 3);
	zero = add_zeros(&c, DTYPE_U8, 3);
	op_case_expect_ok(&c);
	for (int64_t i = 0; i < 30; i++) {
		int64_t channel = i / 5 % 3;
		double q = nearbyint((double)(x[i] / ((float *)scale->data)[channel])) + (double)value(zero, channel);

		assert_int_equal(tensor_get_s64(&c.outputs[0], i), (int64_t)fmin(fmax(q, 0), 255));
	}
	op_case_init(&d, "", "DequantizeLinear", 13);
	op_case_int(&d, "axis", 1);
	memcpy(op_case_input(&d, DTYPE_U8, 3, dims)->data, c.outputs[0].data, 30);
	memcpy(op_case_input(&d, DTYPE_F32, 1, &channels)->data, scale->data, 12);
	memcpy(op_case_input(&d, DTYPE_U8, 1, &channels)->data, zero->data, 3);
	op_case_expect_ok(&d);
	for (int64_t i = 0; i < 30; i++)
		assert_true(((float *)d.outputs[0].data)[i] ==
			    (float)(value(&c.outputs[0], i) - value(zero, i / 5 % 3)) *
				    ((float *)scale->data)[i / 5 % 3]);
	op_case_finish(&d);
	op_case_finish(&c);
}

static void dynamic_quantize_keeps_zero_on_the_grid(void **state)
{
	static const float x[6] = {0, 2, -3, -2.5f, 1.34f, 0.5f}; /* the specification's example */
	static const uint8_t y[6] = {153, 255, 0, 26, 221, 179};
	int64_t count = 6;
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "DynamicQuantizeLinear", 11);
	c.node.num_outputs = 3;
	memcpy(op_case_input(&c, DTYPE_F32, 1, &count)->data, x, sizeof(x));
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], y);
	assert_float_equal(tensor_get_f64(&c.outputs[1], 0), 5.0 / 255, 1e-8);
	assert_int_equal(tensor_get_s64(&c.outputs[2], 0), 153);
	op_case_finish(&c);
}

static void qlinear_add_and_mul_requantize_once(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		bool multiply = round % 2;
		enum dtype dtype = any_byte();
		int64_t a_dims[3] = {2, 3, 300}, b_dims[3] = {1, 3, round % 4 < 2 ? 300 : 1};
		struct tensor *scales[3], *zeros[3];
		struct op_case c;

		op_case_init(&c, "com.microsoft", multiply ? "QLinearMul" : "QLinearAdd", 1);
		op_case_random_bytes(&c, dtype, 3, a_dims);
		scales[0] = add_scales(&c, 1);
		zeros[0] = add_zeros(&c, dtype, 1);
		op_case_random_bytes(&c, dtype, 3, b_dims);
		scales[1] = add_scales(&c, 1);
		zeros[1] = add_zeros(&c, dtype, 1);
		scales[2] = add_scales(&c, 1);
		zeros[2] = add_zeros(&c, dtype, 1);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 3, a_dims);
		for (int64_t i = 0; i < 1800; i++) {
			int64_t at = i / 300 % 3 * b_dims[2] + (b_dims[2] > 1 ? i % 300 : 0);
			float a = (float)(tensor_get_s64(&c.inputs[0], i) - value(zeros[0], 0)) *
				  ((float *)scales[0]->data)[0];
			float b = (float)(tensor_get_s64(&c.inputs[3], at) - value(zeros[1], 0)) *
				  ((float *)scales[1]->data)[0];
			float y = (multiply ? a * b : a + b) / ((float *)scales[2]->data)[0];
			double q = nearbyint((double)y) + (double)value(zeros[2], 0);

			assert_int_equal(
				tensor_get_s64(&c.outputs[0], i),
				(int64_t)fmin(fmax(q, dtype == DTYPE_S8 ? -128 : 0), dtype == DTYPE_S8 ? 127 : 255));
		}
		op_case_finish(&c);
	}
}

static void qlinear_pools_average_the_numbers(void **state)
{
	int64_t dims[4] = {1, 2, 5, 7}, kernel[2] = {2, 3};
	struct op_case c;
	struct tensor *xs, *xz, *ys, *yz;

	(void)state;
	for (int global = 0; global < 2; global++) {
		op_case_init(&c, "com.microsoft", global ? "QLinearGlobalAveragePool" : "QLinearAveragePool", 1);
		if (!global)
			op_case_ints(&c, "kernel_shape", 2, kernel);
		op_case_random_bytes(&c, DTYPE_U8, 4, dims);
		xs = add_scales(&c, 1);
		xz = add_zeros(&c, DTYPE_U8, 1);
		ys = add_scales(&c, 1);
		yz = add_zeros(&c, DTYPE_U8, 1);
		op_case_expect_ok(&c);
		for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
			int64_t w = global ? 1 : 5, h = global ? 1 : 4, kw = global ? 7 : 3, kh = global ? 5 : 2;
			int64_t plane = i / (w * h), sum = 0;
			double q;

			for (int64_t k = 0; k < kw * kh; k++)
				sum += value(&c.inputs[0], plane * 35 + (i / w % h + k / kw) * 7 + i % w + k % kw) -
				       value(xz, 0);
			q = (double)sum / (double)(kw * kh) * tensor_get_f64(xs, 0) / tensor_get_f64(ys, 0) +
			    (double)value(yz, 0);
			q = fmin(fmax(q, 0), 255);
			assert_true(fabs((double)tensor_get_s64(&c.outputs[0], i) - q) <= 0.5 + 1e-4);
		}
		op_case_finish(&c);
	}
}

static void quantized_operators_refuse_what_does_not_fit(void **state)
{
	int64_t dims[4] = {1, 1, 3, 3};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "ConvInteger", 10);
	op_case_random(&c, 4, dims);
	op_case_random_bytes(&c, DTYPE_S8, 4, dims);
	op_case_expect_error(&c, -EINVAL, "float32");
	op_case_finish(&c);

	op_case_init(&c, "", "QuantizeLinear", 13);
	op_case_random(&c, 4, dims);
	add_scales(&c, 2);
	op_case_expect_error(&c, -EINVAL, "axis");
	op_case_finish(&c);

	op_case_init(&c, "", "DequantizeLinear", 13);
	op_case_random_bytes(&c, DTYPE_S8, 4, dims);
	op_case_scalar_f32(&c, 1);
	op_case_input(&c, DTYPE_U8, 0, NULL);
	op_case_expect_error(&c, -EINVAL, "zero point");
	op_case_finish(&c);
}

static int seed(void **state)
{
	(void)state;
	random_seed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qlinear_conv_is_exact),
		cmocka_unit_test(conv_integer_is_exact),
		cmocka_unit_test(matmul_integer_is_exact),
		cmocka_unit_test(qlinear_matmul_is_exact),
		cmocka_unit_test(quantize_rounds_half_to_even_and_saturates),
		cmocka_unit_test(quantize_and_dequantize_by_channel),
		cmocka_unit_test(dynamic_quantize_keeps_zero_on_the_grid),
		cmocka_unit_test(qlinear_add_and_mul_requantize_once),
		cmocka_unit_test(qlinear_pools_average_the_numbers),
		cmocka_unit_test(quantized_operators_refuse_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
