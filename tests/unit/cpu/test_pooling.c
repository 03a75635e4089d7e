// SPDX-License-Identifier: MIT
/*
 * Pools against loops over every window.
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

struct shape {
	int64_t planes, in[2], kernel[2], stride[2], dilation[2], pads[4], out[2];
	bool ceil, include_pad;
};

static struct shape random_shape(bool dilate)
{
	struct shape s = {.planes = between(1, 5), .ceil = between(0, 1), .include_pad = between(0, 1)};

	for (int i = 0; i < 2; i++) {
		int64_t room;

		s.kernel[i] = between(1, 4);
		s.stride[i] = between(1, 3);
		s.dilation[i] = dilate ? between(1, 2) : 1;
		s.pads[i] = between(0, s.kernel[i] - 1);
		s.pads[i + 2] = between(0, s.kernel[i] - 1);
		s.in[i] = between(1, i ? 90 : 20) + (s.kernel[i] - 1) * s.dilation[i];
		room = s.in[i] + s.pads[i] + s.pads[i + 2] - (s.kernel[i] - 1) * s.dilation[i] - 1;
		s.out[i] = room / s.stride[i] + 1;
		if (s.ceil && room % s.stride[i] && s.out[i] * s.stride[i] < s.in[i] + s.pads[i])
			s.out[i]++;
	}
	return s;
}

/* One window: maximum and where, sum, elements inside the image, elements inside the padded image. */
struct window {
	float max, sum, squares;
	int64_t at, inside, padded;
};

static struct window visit(const struct shape *s, const float *x, int64_t plane, int64_t oy, int64_t ox)
{
	struct window w = {.max = -INFINITY, .at = -1};

	for (int64_t ky = 0; ky < s->kernel[0]; ky++)
		for (int64_t kx = 0; kx < s->kernel[1]; kx++) {
			int64_t y = oy * s->stride[0] + ky * s->dilation[0] - s->pads[0];
			int64_t u = ox * s->stride[1] + kx * s->dilation[1] - s->pads[1];
			float v;

			if (y < s->in[0] + s->pads[2] && u < s->in[1] + s->pads[3])
				w.padded++;
			if (y < 0 || y >= s->in[0] || u < 0 || u >= s->in[1])
				continue;
			v = x[(plane * s->in[0] + y) * s->in[1] + u];
			w.inside++;
			w.sum += v;
			w.squares += v * v;
			if (v > w.max) {
				w.max = v;
				w.at = (plane * s->in[0] + y) * s->in[1] + u;
			}
		}
	return w;
}

static float *start_case(struct op_case *c, const char *op_type, const struct shape *s)
{
	op_case_init(c, "", op_type, 19);
	op_case_ints(c, "kernel_shape", 2, s->kernel);
	op_case_ints(c, "strides", 2, s->stride);
	op_case_ints(c, "dilations", 2, s->dilation);
	op_case_ints(c, "pads", 4, s->pads);
	op_case_int(c, "ceil_mode", s->ceil);
	return op_case_random(c, 4, (int64_t[]){1, s->planes, s->in[0], s->in[1]});
}

static struct window visit_output(const struct shape *s, const float *x, int64_t i)
{
	return visit(s, x, i / (s->out[0] * s->out[1]), i / s->out[1] % s->out[0], i % s->out[1]);
}

static void max_pool_finds_the_maximum_and_where(void **state)
{
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	for (int round = 0; round < 100; round++) {
		struct shape s = random_shape(true);
		struct op_case c;
		float *x = start_case(&c, "MaxPool", &s);

		c.node.num_outputs = 2;
		c.pool = round % 2 ? pool : NULL;
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 4, (int64_t[]){1, s.planes, s.out[0], s.out[1]});
		for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
			struct window w = visit_output(&s, x, i);

			assert_true(((float *)c.outputs[0].data)[i] == w.max);
			assert_int_equal(((int64_t *)c.outputs[1].data)[i], w.at);
		}
		op_case_finish(&c);
	}
	cpu_pool_destroy(pool);
}

static void max_pool_takes_bytes(void **state)
{
	int64_t dims[4] = {1, 1, 2, 4}, kernel[2] = {2, 2};
	static const int8_t x[8] = {-128, -3, 5, 6, -100, -4, 127, 0}, y[3] = {-3, 127, 127};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "MaxPool", 12);
	op_case_ints(&c, "kernel_shape", 2, kernel);
	memcpy(op_case_input(&c, DTYPE_S8, 4, dims)->data, x, sizeof(x));
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], y);
	op_case_finish(&c);
}

static void average_pool_divides_by_what_it_counts(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		struct shape s = random_shape(true);
		struct op_case c;
		float *x = start_case(&c, "AveragePool", &s), *y;

		op_case_int(&c, "count_include_pad", s.include_pad);
		op_case_expect_ok(&c);
		y = malloc(tensor_bytes(&c.outputs[0]));
		for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
			struct window w = visit_output(&s, x, i);
			int64_t count = s.include_pad ? w.padded : w.inside;

			y[i] = count ? w.sum / (float)count : 0;
		}
		expect_near(&c.outputs[0], y, 1e-5, 1e-6);
		free(y);
		op_case_finish(&c);
	}
}

static void lp_pool_is_the_norm_of_the_window(void **state)
{
	(void)state;
	for (int round = 0; round < 30; round++) {
		struct shape s = random_shape(true);
		struct op_case c;
		float *x = start_case(&c, "LpPool", &s), *y;

		op_case_expect_ok(&c);
		y = malloc(tensor_bytes(&c.outputs[0]));
		for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++)
			y[i] = sqrtf(visit_output(&s, x, i).squares);
		expect_near(&c.outputs[0], y, 1e-5, 1e-6);
		free(y);
		op_case_finish(&c);
	}
}

static void global_pools_take_the_whole_plane(void **state)
{
	static const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"};
	int64_t dims[5] = {2, 3, 5, 7, 11};

	(void)state;
	for (int rank = 2; rank <= 5; rank++)
		for (int op = 0; op < 3; op++) {
			int64_t count = 1;
			struct op_case c;
			const float *x;

			for (int i = 2; i < rank; i++)
				count *= dims[i];
			op_case_init(&c, "", ops[op], 13);
			x = op_case_random(&c, rank, dims);
			op_case_expect_ok(&c);
			assert_int_equal(c.outputs[0].rank, rank);
			assert_int_equal(tensor_count(&c.outputs[0]), 6);
			for (int64_t p = 0; p < 6; p++) {
				double sum = 0, max = -INFINITY, squares = 0;

				for (int64_t i = 0; i < count; i++) {
					sum += x[p * count + i];
					squares += (double)x[p * count + i] * x[p * count + i];
					max = fmax(max, x[p * count + i]);
				}
				assert_float_equal(((float *)c.outputs[0].data)[p],
						   op == 0   ? sum / (double)count
						   : op == 1 ? max
							     : sqrt(squares),
						   1e-5);
			}
			op_case_finish(&c);
		}
}

static void pools_refuse_what_does_not_fit(void **state)
{
	int64_t dims[4] = {1, 1, 4, 4}, kernel[2] = {2, 2}, huge[2] = {INT32_MAX, INT32_MAX}, three[3] = {2, 2, 2};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "MaxPool", 12);
	op_case_random(&c, 4, dims);
	op_case_expect_error(&c, -EINVAL, "kernel_shape");
	op_case_finish(&c);

	op_case_init(&c, "", "AveragePool", 12);
	op_case_ints(&c, "kernel_shape", 3, three);
	op_case_random(&c, 4, dims);
	op_case_expect_error(&c, -EINVAL, "kernel_shape");
	op_case_finish(&c);

	op_case_init(&c, "", "AveragePool", 12);
	op_case_ints(&c, "kernel_shape", 2, huge);
	op_case_string(&c, "auto_pad", "SAME_SIDE");
	op_case_random(&c, 4, dims);
	op_case_expect_error(&c, -EINVAL, "SAME_SIDE");
	op_case_finish(&c);

	op_case_init(&c, "", "LpPool", 12);
	op_case_ints(&c, "kernel_shape", 2, kernel);
	op_case_int(&c, "p", 0);
	op_case_random(&c, 4, dims);
	op_case_expect_error(&c, -EINVAL, "attribute p");
	op_case_finish(&c);
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
	expect_doubles_agree("AveragePool", 1);
	expect_doubles_agree("LpPool", 1);
	expect_doubles_agree("GlobalAveragePool", 1);
	expect_doubles_agree("GlobalLpPool", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_agree_with_floats),
		cmocka_unit_test(max_pool_finds_the_maximum_and_where),
		cmocka_unit_test(max_pool_takes_bytes),
		cmocka_unit_test(average_pool_divides_by_what_it_counts),
		cmocka_unit_test(lp_pool_is_the_norm_of_the_window),
		cmocka_unit_test(global_pools_take_the_whole_plane),
		cmocka_unit_test(pools_refuse_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
