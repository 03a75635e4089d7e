// SPDX-License-Identifier: MIT
/*
 * Conv, FusedConv and ConvTranspose against the formulas of the ONNX specification, element by element.
 */
#include "tests/unit/cpu/op_case.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A random convolution of up to three spatial axes; sizes of unused axes are 1. */
struct geometry {
	int rank;
	int64_t batch, group, inputs, channels; /* inputs and channels of a group */
	int64_t in[3], kernel[3], stride[3], dilation[3], pad_lo[3], pad_hi[3], out[3], extra[3];
};

static int64_t between(int64_t low, int64_t high)
{
	return low + random_below((uint32_t)(high - low + 1));
}

static struct geometry random_geometry(int rank)
{
	struct geometry g = {.rank = rank, .batch = between(1, 2), .group = between(0, 2) ? 1 : between(2, 5)};

	g.inputs = between(0, 3) ? between(1, 20) : 1;
	g.channels = between(0, 3) ? between(1, 40) : 1;
	for (int i = 0; i < 3; i++) {
		g.in[i] = g.kernel[i] = g.stride[i] = g.dilation[i] = g.out[i] = 1;
		if (i < 3 - rank)
			continue;
		g.kernel[i] = between(1, 4);
		g.stride[i] = between(1, 3);
		g.dilation[i] = between(1, 2);
		g.pad_lo[i] = between(0, 3);
		g.pad_hi[i] = between(0, 3);
		g.in[i] = between(1, rank == 3 ? 9 : 24) + (g.kernel[i] - 1) * g.dilation[i];
		g.out[i] =
			(g.in[i] + g.pad_lo[i] + g.pad_hi[i] - (g.kernel[i] - 1) * g.dilation[i] - 1) / g.stride[i] + 1;
	}
	return g;
}

static void set_attributes(struct op_case *c, const struct geometry *g)
{
	int64_t pads[6];

	for (int i = 0; i < g->rank; i++) {
		pads[i] = g->pad_lo[3 - g->rank + i];
		pads[g->rank + i] = g->pad_hi[3 - g->rank + i];
	}
	op_case_int(c, "group", g->group);
	op_case_ints(c, "kernel_shape", (size_t)g->rank, g->kernel + 3 - g->rank);
	op_case_ints(c, "strides", (size_t)g->rank, g->stride + 3 - g->rank);
	op_case_ints(c, "dilations", (size_t)g->rank, g->dilation + 3 - g->rank);
	op_case_ints(c, "pads", (size_t)g->rank * 2, pads);
}

static int64_t volume(const int64_t *sizes)
{
	return sizes[0] * sizes[1] * sizes[2];
}

static int shape(const struct geometry *g, int64_t first, int64_t second, const int64_t *spatial, int64_t *dims)
{
	dims[0] = first;
	dims[1] = second;
	memcpy(dims + 2, spatial + 3 - g->rank, (size_t)g->rank * sizeof(*dims));
	return g->rank + 2;
}

/* Input position under tap @k of output @o, or -1 outside. */
static int64_t position(const struct geometry *g, int axis, int64_t o, int64_t k)
{
	int64_t i = o * g->stride[axis] + k * g->dilation[axis] - g->pad_lo[axis];

	return i < 0 || i >= g->in[axis] ? -1 : i;
}

static double convolve_at(const struct geometry *g, const float *x, const float *w, int64_t n, int64_t m,
			  const int64_t *o)
{
	int64_t group = m / g->channels, k[3];
	double sum = 0;

	for (int64_t c = 0; c < g->inputs; c++)
		for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
			for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
				for (k[2] = 0; k[2] < g->kernel[2]; k[2]++) {
					int64_t z = position(g, 0, o[0], k[0]), y = position(g, 1, o[1], k[1]);
					int64_t u = position(g, 2, o[2], k[2]);
					int64_t plane = (n * g->group + group) * g->inputs + c;

					if (z < 0 || y < 0 || u < 0)
						continue;
					sum += (double)x[((plane * g->in[0] + z) * g->in[1] + y) * g->in[2] + u] *
					       w[(((m * g->inputs + c) * g->kernel[0] + k[0]) * g->kernel[1] + k[1]) *
							 g->kernel[2] +
						 k[2]];
				}
	return sum;
}

/* The expected output; the caller frees it. */
static float *convolve(const struct geometry *g, const float *x, const float *w, const float *bias)
{
	int64_t channels = g->group * g->channels, o[3], i = 0;
	float *y = malloc((size_t)(g->batch * channels * volume(g->out)) * sizeof(*y));

	for (int64_t n = 0; n < g->batch; n++)
		for (int64_t m = 0; m < channels; m++)
			for (o[0] = 0; o[0] < g->out[0]; o[0]++)
				for (o[1] = 0; o[1] < g->out[1]; o[1]++)
					for (o[2] = 0; o[2] < g->out[2]; o[2]++)
						y[i++] = (float)(convolve_at(g, x, w, n, m, o) + (bias ? bias[m] : 0));
	return y;
}

static void check_random_conv(struct cpu_pool *pool, int rank)
{
	struct geometry g = random_geometry(rank);
	int64_t dims[5], channels = g.group * g.channels;
	struct op_case c;
	float *x, *w, *bias = NULL, *y;

	op_case_init(&c, "", "Conv", 11);
	set_attributes(&c, &g);
	x = op_case_random(&c, shape(&g, g.batch, g.group * g.inputs, g.in, dims), dims);
	w = op_case_random(&c, shape(&g, channels, g.inputs, g.kernel, dims), dims);
	if (between(0, 1))
		bias = op_case_random(&c, 1, &channels);
	c.pool = pool;
	c.constants = between(0, 1) ? 2 : 0;
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], shape(&g, g.batch, channels, g.out, dims), dims);
	y = convolve(&g, x, w, bias);
	expect_near(&c.outputs[0], y, 1e-5, 2e-5);
	free(y);
	op_case_finish(&c);
}

static void conv_follows_the_formula(void **state)
{
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(3, &pool), 0);
	for (int i = 0; i < 150; i++)
		check_random_conv(i % 2 ? pool : NULL, 1 + i % 3);
	cpu_pool_destroy(pool);
}

static void conv_with_many_inputs_accumulates_over_depth_blocks(void **state)
{
	struct geometry g = {.rank = 2,
			     .batch = 1,
			     .group = 1,
			     .inputs = 130,
			     .channels = 29,
			     .in = {1, 23, 27},
			     .kernel = {1, 3, 3},
			     .stride = {1, 1, 1},
			     .dilation = {1, 1, 1},
			     .pad_lo = {0, 1, 1},
			     .pad_hi = {0, 1, 1},
			     .out = {1, 23, 27}};
	int64_t dims[5];
	struct op_case c;
	float *x, *w, *y;

	(void)state;
	op_case_init(&c, "", "Conv", 11);
	set_attributes(&c, &g);
	x = op_case_random(&c, shape(&g, 1, g.inputs, g.in, dims), dims);
	w = op_case_random(&c, shape(&g, g.channels, g.inputs, g.kernel, dims), dims);
	op_case_expect_ok(&c);
	y = convolve(&g, x, w, NULL);
	expect_near(&c.outputs[0], y, 1e-5, 1e-4);
	free(y);
	op_case_finish(&c);
}

static void results_do_not_depend_on_the_number_of_threads(void **state)
{
	int64_t x_dims[4] = {1, 40, 33, 35}, w_dims[4] = {50, 40, 3, 3};
	struct op_case c;
	struct cpu_pool *pool;
	void *copy;

	(void)state;
	op_case_init(&c, "", "Conv", 11);
	op_case_random(&c, 4, x_dims);
	op_case_random(&c, 4, w_dims);
	op_case_expect_ok(&c);
	copy = malloc(tensor_bytes(&c.outputs[0]));
	memcpy(copy, c.outputs[0].data, tensor_bytes(&c.outputs[0]));
	for (size_t threads = 2; threads < 6; threads++) {
		assert_int_equal(cpu_pool_create(threads, &pool), 0);
		c.pool = pool;
		memset(c.outputs[0].data, 0xff, tensor_bytes(&c.outputs[0]));
		op_case_expect_ok(&c);
		expect_same_bytes(&c.outputs[0], copy);
		cpu_pool_destroy(pool);
	}
	free(copy);
	op_case_finish(&c);
}

static void auto_pad_same_keeps_the_size(void **state)
{
	int64_t x_dims[4] = {1, 1, 5, 5}, w_dims[4] = {1, 1, 2, 2}, out[4] = {1, 1, 5, 5};
	struct op_case c;
	float *x, *w, *y;

	(void)state;
	for (int lower = 0; lower < 2; lower++) {
		op_case_init(&c, "", "Conv", 11);
		op_case_string(&c, "auto_pad", lower ? "SAME_LOWER" : "SAME_UPPER");
		x = op_case_random(&c, 4, x_dims);
		w = op_case_random(&c, 4, w_dims);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 4, out);
		y = c.outputs[0].data;
		/* The corner that sees one pixel only: the last for UPPER, the first for LOWER. */
		if (lower)
			assert_float_equal(y[0], x[0] * w[3], 1e-6);
		else
			assert_float_equal(y[24], x[24] * w[0], 1e-6);
		op_case_finish(&c);
	}
}

static float activate(const char *name, const float *p, float v)
{
	if (!strcmp(name, "Relu"))
		return v < 0 ? 0 : v;
	if (!strcmp(name, "LeakyRelu"))
		return v < 0 ? v * p[0] : v;
	if (!strcmp(name, "Clip"))
		return v < p[0] ? p[0] : v > p[1] ? p[1] : v;
	if (!strcmp(name, "HardSigmoid"))
		return fmaxf(0, fminf(1, p[0] * v + p[1]));
	if (!strcmp(name, "HardSwish"))
		return v * fmaxf(0, fminf(1, p[0] * v + p[1]));
	if (!strcmp(name, "Sigmoid"))
		return 1 / (1 + expf(-v));
	return tanhf(v);
}

static void fused_conv_adds_the_residual_then_activates(void **state)
{
	static const struct {
		const char *name;
		size_t count;
		float params[2];
	} activations[] = {
		{"Relu", 0, {0}},
		{"LeakyRelu", 1, {0.2f}},
		{"Clip", 2, {-0.25f, 0.5f}},
		{"HardSigmoid", 2, {0.3f, 0.4f}},
		{"HardSwish", 2, {1.0f / 6, 0.5f}},
		{"Sigmoid", 0, {0}},
		{"Tanh", 0, {0}},
	};

	(void)state;
	for (size_t a = 0; a < sizeof(activations) / sizeof(activations[0]); a++)
		for (int depthwise = 0; depthwise < 2; depthwise++) {
			struct geometry g = {.rank = 2,
					     .batch = 2,
					     .group = depthwise ? 6 : 1,
					     .inputs = depthwise ? 1 : 7,
					     .channels = depthwise ? 1 : 13,
					     .in = {1, 9, 11},
					     .kernel = {1, 3, 3},
					     .stride = {1, 1, 1},
					     .dilation = {1, 1, 1},
					     .pad_lo = {0, 1, 1},
					     .pad_hi = {0, 1, 1},
					     .out = {1, 9, 11}};
			int64_t dims[5], channels = g.group * g.channels;
			float *x, *w, *bias, *residual, *y;
			struct op_case c;

			op_case_init(&c, "com.microsoft", "FusedConv", 1);
			set_attributes(&c, &g);
			op_case_string(&c, "activation", activations[a].name);
			if (activations[a].count)
				op_case_floats(&c, "activation_params", activations[a].count, activations[a].params);
			x = op_case_random(&c, shape(&g, g.batch, g.group * g.inputs, g.in, dims), dims);
			w = op_case_random(&c, shape(&g, channels, g.inputs, g.kernel, dims), dims);
			bias = op_case_random(&c, 1, &channels);
			residual = op_case_random(&c, shape(&g, g.batch, channels, g.out, dims), dims);
			op_case_expect_ok(&c);
			y = convolve(&g, x, w, bias);
			for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++)
				y[i] = activate(activations[a].name, activations[a].params, y[i] + residual[i]);
			expect_near(&c.outputs[0], y, 1e-5, 2e-5);
			free(y);
			op_case_finish(&c);
		}
}

static void conv_refuses_what_does_not_fit(void **state)
{
	int64_t x_dims[4] = {1, 4, 5, 5}, w_dims[4] = {2, 3, 3, 3}, pads[3] = {1, 1, 1}, zero[2] = {0, 1};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Conv", 11);
	op_case_random(&c, 4, x_dims);
	op_case_random(&c, 4, w_dims);
	op_case_expect_error(&c, -EINVAL, "group 1");
	op_case_finish(&c);

	w_dims[1] = 4;
	op_case_init(&c, "", "Conv", 11);
	op_case_ints(&c, "pads", 3, pads);
	op_case_random(&c, 4, x_dims);
	op_case_random(&c, 4, w_dims);
	op_case_expect_error(&c, -EINVAL, "pads");
	op_case_finish(&c);

	op_case_init(&c, "", "Conv", 11);
	op_case_ints(&c, "strides", 2, zero);
	op_case_random(&c, 4, x_dims);
	op_case_random(&c, 4, w_dims);
	op_case_expect_error(&c, -EINVAL, "strides[0]");
	op_case_finish(&c);

	op_case_init(&c, "", "Conv", 11);
	op_case_random(&c, 4, x_dims);
	op_case_random(&c, 3, w_dims);
	op_case_expect_error(&c, -EINVAL, "rank");
	op_case_finish(&c);

	op_case_init(&c, "com.microsoft", "FusedConv", 1);
	op_case_string(&c, "activation", "Softsign");
	op_case_random(&c, 4, x_dims);
	op_case_random(&c, 4, w_dims);
	op_case_expect_error(&c, -ENOTSUP, "Softsign");
	op_case_finish(&c);
}

/* y[.., i * stride + k * dilation - pad, ..] += x * w, ONNX's ConvTranspose; here @g->in is the small side. */
static float *convolve_transposed(const struct geometry *g, const float *x, const float *w, const float *bias)
{
	int64_t channels = g->group * g->channels, i[3], k[3], o[3], count = volume(g->out);
	float *y = calloc((size_t)(g->batch * channels * count), sizeof(*y));

	for (int64_t plane = 0; plane < g->batch * g->group * g->inputs; plane++)
		for (int64_t m = 0; m < g->channels; m++)
			for (int64_t p = 0; p < volume(g->in) * volume(g->kernel); p++) {
				int64_t tap = p % volume(g->kernel), pixel = p / volume(g->kernel);
				int64_t n = plane / (g->group * g->inputs), c = plane % (g->group * g->inputs);
				bool inside = true;

				for (int a = 2; a >= 0; a--) {
					k[a] = tap % g->kernel[a];
					tap /= g->kernel[a];
					i[a] = pixel % g->in[a];
					pixel /= g->in[a];
					o[a] = i[a] * g->stride[a] + k[a] * g->dilation[a] - g->pad_lo[a];
					inside = inside && o[a] >= 0 && o[a] < g->out[a];
				}
				if (!inside)
					continue;
				y[((n * channels + c / g->inputs * g->channels + m) * g->out[0] + o[0]) * g->out[1] *
					  g->out[2] +
				  o[1] * g->out[2] + o[2]] +=
					x[plane * volume(g->in) + (i[0] * g->in[1] + i[1]) * g->in[2] + i[2]] *
					w[(c * g->channels + m) * volume(g->kernel) +
					  (k[0] * g->kernel[1] + k[1]) * g->kernel[2] + k[2]];
			}
	for (int64_t j = 0; bias && j < g->batch * channels * count; j++)
		y[j] += bias[j / count % channels];
	return y;
}

static void conv_transpose_follows_the_formula(void **state)
{
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	for (int round = 0; round < 90; round++) {
		struct geometry g = random_geometry(1 + round % 3);
		int64_t dims[5], channels = g.group * g.channels;
		struct op_case c;
		float *x, *w, *bias = NULL, *y;

		for (int a = 3 - g.rank; a < 3; a++) {
			g.in[a] = between(1, 7);
			g.extra[a] = between(0, g.stride[a] - 1);
			g.out[a] = g.stride[a] * (g.in[a] - 1) + g.extra[a] + (g.kernel[a] - 1) * g.dilation[a] + 1 -
				   g.pad_lo[a] - g.pad_hi[a];
			if (g.out[a] < 1) {
				g.out[a] += g.pad_lo[a] + g.pad_hi[a];
				g.pad_lo[a] = g.pad_hi[a] = 0;
			}
		}
		op_case_init(&c, "", "ConvTranspose", 11);
		set_attributes(&c, &g);
		op_case_ints(&c, "output_padding", (size_t)g.rank, g.extra + 3 - g.rank);
		x = op_case_random(&c, shape(&g, g.batch, g.group * g.inputs, g.in, dims), dims);
		w = op_case_random(&c, shape(&g, g.group * g.inputs, g.channels, g.kernel, dims), dims);
		if (between(0, 1))
			bias = op_case_random(&c, 1, &channels);
		c.pool = round % 2 ? pool : NULL;
		c.constants = between(0, 1) ? 2 : 0;
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], shape(&g, g.batch, channels, g.out, dims), dims);
		y = convolve_transposed(&g, x, w, bias);
		expect_near(&c.outputs[0], y, 1e-5, 2e-5);
		free(y);
		op_case_finish(&c);
	}
	cpu_pool_destroy(pool);
}

static int seed(void **state)
{
	(void)state;
	random_seed();
	return 0;
}

/* Doubles have loops of their own; those of floats, which other tests here judge, must agree with them. */
static void doubles_agree_with_floats(void **state)
{
	(void)state;
	expect_doubles_agree("Conv", 3);
	expect_doubles_agree("ConvTranspose", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_agree_with_floats),
		cmocka_unit_test(conv_follows_the_formula),
		cmocka_unit_test(conv_with_many_inputs_accumulates_over_depth_blocks),
		cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
		cmocka_unit_test(auto_pad_same_keeps_the_size),
		cmocka_unit_test(fused_conv_adds_the_residual_then_activates),
		cmocka_unit_test(conv_refuses_what_does_not_fit),
		cmocka_unit_test(conv_transpose_follows_the_formula),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
