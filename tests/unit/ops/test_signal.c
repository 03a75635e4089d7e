// SPDX-License-Identifier: MIT
/*
 * DFT and STFT against the sum that defines them; windows and the mel matrix against values from NumPy.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/fft.h"
#include "tests/unit/cpu/op_case.h"

#define TWO_PI 6.283185307179586

static struct cpu_pool *pool;

/* sum of x[j] exp(sign 2 pi i j k / n), @x as pairs. */
static struct fft_number sum_at(const double *x, int64_t n, int64_t k, double sign)
{
	struct fft_number sum = {0, 0};

	for (int64_t j = 0; j < n; j++) {
		double turn = sign * TWO_PI * (double)(j * k % n) / (double)n;

		sum.re += x[2 * j] * cos(turn) - x[2 * j + 1] * sin(turn);
		sum.im += x[2 * j] * sin(turn) + x[2 * j + 1] * cos(turn);
	}
	return sum;
}

static void every_length_is_the_sum(void **state)
{
	static const int64_t lengths[] = {1,  2,  3,  4,  5,  6,  7,   8,   9,   10,  12,  16,  31,
					  32, 37, 48, 64, 74, 97, 100, 127, 128, 210, 251, 360, 1009};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (int inverse = 0; inverse < 2; inverse++) {
			int64_t n = lengths[i];
			struct fft_number *x = calloc((size_t)(2 * n), sizeof(*x)), *work;
			struct fft *plan;

			assert_int_equal(fft_create(n, inverse, &plan), 0);
			work = calloc((size_t)fft_work_size(plan) + 1, sizeof(*work));
			for (int64_t k = 0; k < n; k++)
				x[k] = (struct fft_number){random_float(-1, 1), random_float(-1, 1)};
			fft_run(plan, x, x + n, work);
			for (int64_t k = 0; k < n; k++) {
				struct fft_number want = sum_at(&x[0].re, n, k, inverse ? 1 : -1);

				if (fabs(x[n + k].re - want.re) > 1e-12 * (double)n ||
				    fabs(x[n + k].im - want.im) > 1e-12 * (double)n)
					fail_msg("length %lld, number %lld: %g%+gi, expected %g%+gi", (long long)n,
						 (long long)k, x[n + k].re, x[n + k].im, want.re, want.im);
			}
			free(x);
			free(work);
			fft_destroy(plan);
		}
}

static void lengths_that_are_none_are_refused(void **state)
{
	struct fft *plan;

	(void)state;
	assert_int_equal(fft_create(0, false, &plan), -EINVAL);
	assert_int_equal(fft_create((int64_t)1 << 40, false, &plan), -EINVAL);
	assert_null(plan);
}

static void add_scalar(struct op_case *c, int64_t value)
{
	*(int64_t *)op_case_input(c, DTYPE_S64, 0, NULL)->data = value;
}

/* Line (a, b) of a float tensor [2, n, 3, components] as pairs of @length numbers, cut or padded with zeros. */
static void take_line(const struct tensor *t, int64_t a, int64_t b, int64_t length, double *x)
{
	int64_t n = t->dims[1], parts = t->dims[3];

	for (int64_t k = 0; k < length; k++) {
		const float *at = (const float *)t->data + ((a * n + k) * 3 + b) * parts;

		x[2 * k] = k < n ? at[0] : 0;
		x[2 * k + 1] = k < n && parts == 2 ? at[1] : 0;
	}
}

/* A DFT of [2, n, 3, parts] along axis 1, in every form, padded or cut to @length. */
static void dft_once(int opset, int64_t n, int64_t length, int64_t parts, bool inverse, bool onesided)
{
	int64_t bins = onesided ? length / 2 + 1 : length;
	double *x = calloc((size_t)(2 * length), sizeof(*x));
	struct op_case c;

	op_case_init(&c, "", "DFT", opset);
	c.pool = pool;
	op_case_random(&c, 4, (int64_t[]){2, n, 3, parts});
	add_scalar(&c, length);
	if (opset >= 20)
		add_scalar(&c, -3);
	op_case_int(&c, "inverse", inverse);
	op_case_int(&c, "onesided", onesided);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){2, bins, 3, 2});
	for (int64_t a = 0; a < 2; a++)
		for (int64_t b = 0; b < 3; b++) {
			take_line(&c.inputs[0], a, b, length, x);
			for (int64_t k = 0; k < bins; k++) {
				const float *got = (const float *)c.outputs[0].data + ((a * bins + k) * 3 + b) * 2;
				struct fft_number want = sum_at(x, length, k, inverse ? 1 : -1);
				double scale = inverse ? 1.0 / (double)length : 1;

				assert_true(fabs(got[0] - want.re * scale) < 1e-5 * (double)length);
				assert_true(fabs(got[1] - want.im * scale) < 1e-5 * (double)length);
			}
		}
	op_case_finish(&c);
	free(x);
}

static void dft_is_the_sum_along_its_axis(void **state)
{
	(void)state;
	for (int opset = 17; opset <= 20; opset += 3) {
		dft_once(opset, 10, 10, 1, false, false);
		dft_once(opset, 10, 10, 2, false, false);
		dft_once(opset, 10, 16, 2, true, false);
		dft_once(opset, 15, 9, 1, false, true);
		dft_once(opset, 67, 67, 1, false, true);
		dft_once(opset, 12, 30, 1, true, false);
	}
}

/* Half a spectrum and back is the signal, of even and of odd length. */
static void onesided_inverse_undoes_onesided(void **state)
{
	(void)state;
	for (int64_t n = 7; n <= 8; n++) {
		struct op_case forward, back;

		op_case_init(&forward, "", "DFT", 20);
		op_case_random(&forward, 3, (int64_t[]){2, n, 1});
		op_case_int(&forward, "onesided", 1);
		op_case_expect_ok(&forward);
		expect_shape(&forward.outputs[0], 3, (int64_t[]){2, n / 2 + 1, 2});
		op_case_init(&back, "", "DFT", 20);
		memcpy(op_case_input(&back, DTYPE_F32, 3, forward.outputs[0].dims)->data, forward.outputs[0].data,
		       tensor_bytes(&forward.outputs[0]));
		if (n % 2)
			add_scalar(&back, n);
		op_case_int(&back, "onesided", 1);
		op_case_int(&back, "inverse", 1);
		op_case_expect_ok(&back);
		expect_shape(&back.outputs[0], 3, (int64_t[]){2, n, 1});
		expect_near(&back.outputs[0], forward.inputs[0].data, 0, 1e-6);
		op_case_finish(&forward);
		op_case_finish(&back);
	}
}

static void dft_keeps_every_float_type(void **state)
{
	static const enum dtype types[] = {DTYPE_F16, DTYPE_BF16, DTYPE_F64};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct op_case c;
		struct tensor *in;

		op_case_init(&c, "", "DFT", 20);
		in = op_case_input(&c, types[i], 3, (int64_t[]){1, 4, 1});
		/* 1, 1, 1, 1: the sum, then zeros. */
		for (int k = 0; k < 4; k++) {
			if (types[i] == DTYPE_F64)
				((double *)in->data)[k] = 1;
			else
				((uint16_t *)in->data)[k] = types[i] == DTYPE_F16 ? f32_to_f16(1) : f32_to_bf16(1);
		}
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, types[i]);
		for (int k = 0; k < 8; k++)
			assert_true(tensor_get_f64(&c.outputs[0], k) == (k == 0 ? 4 : 0));
		op_case_finish(&c);
	}
}

static void dft_names_what_does_not_fit(void **state)
{
	static const struct {
		int64_t parts, axis, length;
		bool onesided, inverse;
		const char *text;
	} cases[] = {
		{3, 1, 4, false, false, "last dimension of input 0"},
		{1, 2, 4, false, false, "axis 2 is no signal axis"},
		{1, 7, 4, false, false, "axis 7 is no signal axis"},
		{1, 1, 0, false, false, "length 0"},
		{1, 1, -5, false, false, "length -5"},
		{2, 1, 4, true, false, "onesided = 1 with a complex input"},
		{1, 1, 4, true, true, "inverse = 1 with a real input"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "DFT", 20);
		op_case_random(&c, 3, (int64_t[]){1, 4, cases[i].parts});
		add_scalar(&c, cases[i].length);
		add_scalar(&c, cases[i].axis);
		op_case_int(&c, "onesided", cases[i].onesided);
		op_case_int(&c, "inverse", cases[i].inverse);
		op_case_expect_error(&c, -EINVAL, cases[i].text);
		op_case_finish(&c);
	}
}

static void stft_is_the_dft_of_weighted_frames(void **state)
{
	int64_t signal = 37, step = 5, length = 12, bins = 7, frames = 6;
	struct op_case c;
	float *x, *w;

	(void)state;
	op_case_init(&c, "", "STFT", 17);
	c.pool = pool;
	x = op_case_random(&c, 3, (int64_t[]){2, signal, 1});
	add_scalar(&c, step);
	w = op_case_random(&c, 1, &length);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){2, frames, bins, 2});
	for (int64_t line = 0; line < 2 * frames; line++)
		for (int64_t k = 0; k < bins; k++) {
			const float *got = (const float *)c.outputs[0].data + (line * bins + k) * 2;
			struct fft_number want;
			double frame[24] = {0};

			for (int64_t j = 0; j < length; j++)
				frame[2 * j] = x[line / frames * signal + line % frames * step + j] * w[j];
			want = sum_at(frame, length, k, -1);
			assert_true(fabs(got[0] - want.re) < 1e-5 && fabs(got[1] - want.im) < 1e-5);
		}
	op_case_finish(&c);
}

static void stft_names_what_does_not_fit(void **state)
{
	static const struct {
		int64_t step, window, length, parts;
		const char *text;
	} cases[] = {
		{0, 4, 4, 1, "frame_step (input 1) is 0"},
		{1, 4, 5, 1, "the window (input 2) has 4 elements, a frame 5"},
		{1, 11, 11, 1, "frames of 11 samples in a signal of 10"},
		{1, 4, 4, 2, "onesided = 1 with a complex input"},
		{1, 4, 4, 3, "no signal of shape"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "STFT", 17);
		op_case_random(&c, 3, (int64_t[]){1, 10, cases[i].parts});
		add_scalar(&c, cases[i].step);
		op_case_random(&c, 1, &cases[i].window);
		add_scalar(&c, cases[i].length);
		op_case_expect_error(&c, -EINVAL, cases[i].text);
		op_case_finish(&c);
	}
}

static void windows_are_numpys(void **state)
{
	static const struct {
		const char *op;
		int64_t size, periodic;
		float want[6];
	} cases[] = {
		/* numpy.hanning(6), hamming(6), blackman(6); Hamming with 25/46, as ONNX has it. */
		{"HannWindow", 6, 0, {0, 0.3454915f, 0.9045085f, 0.9045085f, 0.3454915f, 0}},
		{"HannWindow", 4, 1, {0, 0.5f, 1, 0.5f}},
		{"HammingWindow", 6, 0, {0.08695652f, 0.40240529f, 0.91281213f, 0.91281213f, 0.40240529f, 0.08695652f}},
		{"HammingWindow", 5, 1, {0.08695652f, 0.40240529f, 0.91281213f, 0.91281213f, 0.40240529f}},
		{"BlackmanWindow", 6, 0, {0, 0.20077014f, 0.84922986f, 0.84922986f, 0.20077014f, 0}},
		{"BlackmanWindow", 1, 0, {1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", cases[i].op, 17);
		add_scalar(&c, cases[i].size);
		op_case_int(&c, "periodic", cases[i].periodic);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 1, &cases[i].size);
		expect_near(&c.outputs[0], cases[i].want, 1e-6, 1e-7);
		op_case_finish(&c);
	}
}

static void windows_refuse_bad_sizes_and_types(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "HannWindow", 17);
	add_scalar(&c, -1);
	op_case_expect_error(&c, -EINVAL, "size (input 0) is -1");
	op_case_finish(&c);
	op_case_init(&c, "", "HannWindow", 17);
	add_scalar(&c, 4);
	op_case_int(&c, "output_datatype", DTYPE_STRING);
	op_case_expect_error(&c, -EINVAL, "output_datatype = 8");
	op_case_finish(&c);
}

/* Edges by NumPy: bins 0, 1, 2, 4, 7, 11 of a spectrum of 17 (32 points, 8 kHz, 100 to 3800 Hz, four triangles). */
static void mel_matrix_has_its_triangles(void **state)
{
	static const int64_t edges[] = {0, 1, 2, 4, 7, 11};
	float want[17 * 4] = {0};
	struct op_case c;

	(void)state;
	for (int i = 0; i < 4; i++) {
		for (int64_t j = edges[i]; j <= edges[i + 1]; j++)
			want[j * 4 + i] = (float)(j - edges[i]) / (float)(edges[i + 1] - edges[i]);
		for (int64_t j = edges[i + 1]; j < edges[i + 2]; j++)
			want[j * 4 + i] = (float)(edges[i + 2] - j) / (float)(edges[i + 2] - edges[i + 1]);
	}
	op_case_init(&c, "", "MelWeightMatrix", 17);
	add_scalar(&c, 4);
	add_scalar(&c, 32);
	add_scalar(&c, 8000);
	op_case_scalar_f32(&c, 100);
	op_case_scalar_f32(&c, 3800);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){17, 4});
	expect_near(&c.outputs[0], want, 1e-6, 0);
	op_case_finish(&c);
}

static void mel_matrix_refuses_bad_edges(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "MelWeightMatrix", 17);
	add_scalar(&c, 4);
	add_scalar(&c, 32);
	add_scalar(&c, 8000);
	op_case_scalar_f32(&c, 3800);
	op_case_scalar_f32(&c, 100);
	op_case_expect_error(&c, -EINVAL, "edges of 3800 and 100 Hz");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_is_the_sum),
		cmocka_unit_test(lengths_that_are_none_are_refused),
		cmocka_unit_test(dft_is_the_sum_along_its_axis),
		cmocka_unit_test(onesided_inverse_undoes_onesided),
		cmocka_unit_test(dft_keeps_every_float_type),
		cmocka_unit_test(dft_names_what_does_not_fit),
		cmocka_unit_test(stft_is_the_dft_of_weighted_frames),
		cmocka_unit_test(stft_names_what_does_not_fit),
		cmocka_unit_test(windows_are_numpys),
		cmocka_unit_test(windows_refuse_bad_sizes_and_types),
		cmocka_unit_test(mel_matrix_has_its_triangles),
		cmocka_unit_test(mel_matrix_refuses_bad_edges),
	};
	int failed;

	random_seed();
	if (cpu_pool_create(2, &pool))
		return 1;
	failed = cmocka_run_group_tests_name("signal", tests, NULL, NULL);
	cpu_pool_destroy(pool);
	return failed;
}
