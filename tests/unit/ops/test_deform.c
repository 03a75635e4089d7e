// SPDX-License-Identifier: MIT
/*
 * Operators that place or read pixels by geometry: DeformConv, AffineGrid, GridSample, RoiAlign, CenterCropPad, MaxRoiPool,
 * MaxUnpool, Col2Im; and CumProd. Expectations by hand, or by the plain definition.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "tests/unit/cpu/op_case.h"

static struct cpu_pool *pool;

static void set_f32(struct op_case *c, int rank, const int64_t *dims, const float *values)
{
	struct tensor *t = op_case_input(c, DTYPE_F32, rank, dims);

	memcpy(t->data, values, tensor_bytes(t));
}

static void set_s64(struct op_case *c, int64_t count, const int64_t *values)
{
	memcpy(op_case_input(c, DTYPE_S64, 1, &count)->data, values, (size_t)count * sizeof(*values));
}

/* ---- DeformConv ---- */

/* Pixel of plane @x [9, 11] at (@h, @w), bilinear, zero outside. */
static double bilinear(const float *x, double h, double w)
{
	double sum = 0;

	for (int i = 0; i < 9; i++)
		for (int j = 0; j < 11; j++)
			sum += fmax(0, 1 - fabs(h - i)) * fmax(0, 1 - fabs(w - j)) * x[i * 11 + j];
	return sum;
}

/* 4 channels in 2 groups and 2 offset groups, 6 outputs, kernel 3 x 2, strides 2 and 1, dilations 1 and 2, pads. */
static void deformed_taps_are_sampled(void **state)
{
	enum { OH = 5, OW = 11 };
	struct op_case c;
	float *x, *w, *offset, *bias, *mask;

	(void)state;
	op_case_init(&c, "", "DeformConv", 19);
	c.pool = pool;
	x = op_case_random(&c, 4, (int64_t[]){2, 4, 9, 11});
	w = op_case_random(&c, 4, (int64_t[]){6, 2, 3, 2});
	offset = op_case_random(&c, 4, (int64_t[]){2, 24, OH, OW});
	bias = op_case_random(&c, 1, (int64_t[]){6});
	mask = op_case_random(&c, 4, (int64_t[]){2, 12, OH, OW});
	for (int i = 0; i < 2 * 24 * OH * OW; i++)
		offset[i] *= 4;
	op_case_int(&c, "group", 2);
	op_case_int(&c, "offset_group", 2);
	op_case_ints(&c, "strides", 2, (int64_t[]){2, 1});
	op_case_ints(&c, "dilations", 2, (int64_t[]){1, 2});
	op_case_ints(&c, "pads", 4, (int64_t[]){1, 1, 1, 1});
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){2, 6, OH, OW});
	for (int n = 0; n < 2; n++)
		for (int o = 0; o < 6; o++)
			for (int p = 0; p < OH * OW; p++) {
				double want = bias[o], got = ((float *)c.outputs[0].data)[(n * 6 + o) * OH * OW + p];

				for (int k = 0; k < 12; k++) {
					int channel = o / 3 * 2 + k / 6, tap = k % 6,
					    shift = (n * 2 + channel / 2) * 6 + tap;
					double h = p / OW * 2 - 1 + tap / 2 + offset[(shift * 2) * OH * OW + p];
					double v = p % OW - 1 + tap % 2 * 2 + offset[(shift * 2 + 1) * OH * OW + p];

					want += w[o * 12 + k] * mask[shift * OH * OW + p] *
						bilinear(x + (n * 4 + channel) * 99, h, v);
				}
				assert_true(fabs(got - want) < 1e-4);
			}
	op_case_finish(&c);
}

/* Without shifts and mask it is Conv, in one, two and three dimensions. */
static void without_shifts_it_is_conv(void **state)
{
	(void)state;
	for (int spatial = 1; spatial <= 3; spatial++) {
		int64_t x[] = {1, 3, 7, 5, 4}, w[] = {2, 3, 3, 2, 2}, shifts[] = {1, spatial, 5, 4, 3};
		struct op_case conv, deform;

		for (int i = 0; i < spatial; i++)
			shifts[1] *= w[2 + i];
		op_case_init(&conv, "", "Conv", 19);
		op_case_random(&conv, 2 + spatial, x);
		op_case_random(&conv, 2 + spatial, w);
		op_case_expect_ok(&conv);
		op_case_init(&deform, "", "DeformConv", 22);
		deform.pool = pool;
		set_f32(&deform, 2 + spatial, x, conv.inputs[0].data);
		set_f32(&deform, 2 + spatial, w, conv.inputs[1].data);
		op_case_input(&deform, DTYPE_F32, 2 + spatial, shifts);
		op_case_expect_ok(&deform);
		expect_shape(&deform.outputs[0], conv.outputs[0].rank, conv.outputs[0].dims);
		expect_near(&deform.outputs[0], conv.outputs[0].data, 1e-5, 1e-5);
		op_case_finish(&conv);
		op_case_finish(&deform);
	}
}

static void deform_conv_names_what_does_not_fit(void **state)
{
	static const struct {
		int64_t offset_channels, groups, offset_groups;
		const char *text;
	} cases[] = {
		{7, 1, 1, "the offsets (input 2) are not [1, 8, output positions]"},
		{8, 2, 1, "in 2 groups"},
		{8, 1, 3, "offset_group = 3 for 2 channels"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "DeformConv", 19);
		op_case_random(&c, 4, (int64_t[]){1, 2, 3, 3});
		op_case_random(&c, 4, (int64_t[]){1, 2, 2, 2});
		op_case_random(&c, 4, (int64_t[]){1, cases[i].offset_channels, 2, 2});
		op_case_int(&c, "group", cases[i].groups);
		op_case_int(&c, "offset_group", cases[i].offset_groups);
		op_case_expect_error(&c, -EINVAL, cases[i].text);
		op_case_finish(&c);
	}
}

/* ---- AffineGrid ---- */

static void affine_grid_maps_points(void **state)
{
	/* Turned by a quarter, x shifted by 1; points of 2 x 3 pixels. */
	static const float theta[] = {0, -1, 1, 1, 0, 0};
	static const float edges[] = {1.5f, -2.0f / 3, 1.5f, 0, 1.5f, 2.0f / 3,
				      0.5f, -2.0f / 3, 0.5f, 0, 0.5f, 2.0f / 3};
	static const float centres[] = {2, -1, 2, 0, 2, 1, 0, -1, 0, 0, 0, 1};

	(void)state;
	for (int align = 0; align < 2; align++) {
		struct op_case c;

		op_case_init(&c, "", "AffineGrid", 20);
		set_f32(&c, 3, (int64_t[]){1, 2, 3}, theta);
		set_s64(&c, 4, (int64_t[]){1, 9, 2, 3});
		op_case_int(&c, "align_corners", align);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 4, (int64_t[]){1, 2, 3, 2});
		expect_near(&c.outputs[0], align ? centres : edges, 1e-6, 1e-6);
		op_case_finish(&c);
	}
}

static void affine_grid_of_volumes(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "AffineGrid", 20);
	/* The identity: x, y, z of each point, x fastest. */
	set_f32(&c, 3, (int64_t[]){1, 3, 4}, (float[]){1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0});
	set_s64(&c, 5, (int64_t[]){1, 1, 2, 1, 2});
	op_case_int(&c, "align_corners", 1);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 5, (int64_t[]){1, 2, 1, 2, 3});
	expect_near(&c.outputs[0], (float[]){-1, 0, -1, 1, 0, -1, -1, 0, 1, 1, 0, 1}, 0, 0);
	op_case_finish(&c);
}

static void affine_grid_names_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "AffineGrid", 20);
	op_case_random(&c, 3, (int64_t[]){1, 2, 3});
	set_s64(&c, 3, (int64_t[]){1, 1, 2});
	op_case_expect_error(&c, -EINVAL, "3 entries, expected 4 or 5");
	op_case_finish(&c);
	op_case_init(&c, "", "AffineGrid", 20);
	op_case_random(&c, 3, (int64_t[]){1, 2, 3});
	set_s64(&c, 5, (int64_t[]){1, 1, 2, 2, 2});
	op_case_expect_error(&c, -EINVAL, "is not [1, 3, 4]");
	op_case_finish(&c);
}

/* ---- GridSample ---- */

/* Halfway between 1 and 4, above 2 and 8: every type as it rounds; complex numbers part by part. */
static void samples_have_the_type_of_the_image(void **state)
{
	static const double image[] = {1, 4, 2, 8};
	static const struct {
		enum dtype type;
		double want;
	} cases[] = {
		{DTYPE_F32, 3.75}, {DTYPE_F64, 3.75}, {DTYPE_F16, 3.75}, {DTYPE_BF16, 3.75},
		{DTYPE_S8, 3},     {DTYPE_U16, 3},    {DTYPE_S64, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;
		struct tensor *in;

		op_case_init(&c, "", "GridSample", 20);
		in = op_case_input(&c, cases[i].type, 4, (int64_t[]){1, 1, 2, 2});
		op_case_input(&c, DTYPE_F32, 4, (int64_t[]){1, 1, 1, 2});
		cast_row(DTYPE_F64, cases[i].type)(4, image, in->data);
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, cases[i].type);
		assert_true((dtype_is_float(cases[i].type)
				     ? tensor_get_f64(&c.outputs[0], 0)
				     : (double)tensor_get_s64(&c.outputs[0], 0)) == cases[i].want);
		op_case_finish(&c);
	}
}

static void complex_samples_are_those_of_their_parts(void **state)
{
	struct op_case whole, part[2];
	float *in, *grid;

	(void)state;
	op_case_init(&whole, "", "GridSample", 20);
	op_case_string(&whole, "mode", "cubic");
	in = op_case_input(&whole, DTYPE_C64, 4, (int64_t[]){2, 3, 4, 5})->data;
	grid = op_case_random(&whole, 4, (int64_t[]){2, 3, 3, 2});
	for (int i = 0; i < 240; i++)
		in[i] = random_float(-1, 1);
	op_case_expect_ok(&whole);
	for (int k = 0; k < 2; k++) {
		float *plane;

		op_case_init(&part[k], "", "GridSample", 20);
		op_case_string(&part[k], "mode", "cubic");
		plane = op_case_random(&part[k], 4, (int64_t[]){2, 3, 4, 5});
		set_f32(&part[k], 4, (int64_t[]){2, 3, 3, 2}, grid);
		for (int i = 0; i < 120; i++)
			plane[i] = in[2 * i + k];
		op_case_expect_ok(&part[k]);
		expect_shape(&whole.outputs[0], 4, part[k].outputs[0].dims);
		for (int i = 0; i < 54; i++)
			assert_true(((float *)whole.outputs[0].data)[2 * i + k] ==
				    ((float *)part[k].outputs[0].data)[i]);
		op_case_finish(&part[k]);
	}
	op_case_finish(&whole);
}

/* The standard's cases: halves go to even, in images and in volumes. */
static void nearest_rounds_halves_to_even(void **state)
{
	(void)state;
	for (int spatial = 2; spatial <= 3; spatial++) {
		struct op_case c;
		float *grid;

		op_case_init(&c, "", "GridSample", 22);
		op_case_string(&c, "mode", "nearest");
		set_f32(&c, 2 + spatial, (int64_t[]){1, 1, 2, 1, 1}, (float[]){1, 2});
		grid = op_case_input(&c, DTYPE_F32, 2 + spatial,
				     spatial == 2 ? (int64_t[]){1, 1, 1, 2} : (int64_t[]){1, 1, 1, 1, 3})
			       ->data;
		/* Position 0.5 of the outermost axis. */
		grid[spatial - 1] = 0;
		op_case_expect_ok(&c);
		expect_near(&c.outputs[0], (float[]){1}, 0, 0);
		op_case_finish(&c);
	}
}

/* ---- CenterCropPad ---- */

static void middle_stays(void **state)
{
	struct op_case c;

	(void)state;
	/* 5 columns to 2: from 1 on; 2 rows to 5: one of three rows of zeros above. */
	op_case_init(&c, "", "CenterCropPad", 18);
	c.pool = pool;
	set_f32(&c, 2, (int64_t[]){2, 5}, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
	set_s64(&c, 2, (int64_t[]){2, 5});
	op_case_ints(&c, "axes", 2, (int64_t[]){-1, 0});
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){5, 2});
	expect_near(&c.outputs[0], (float[]){0, 0, 2, 3, 7, 8, 0, 0, 0, 0}, 0, 0);
	op_case_finish(&c);
}

static void crop_names_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "CenterCropPad", 18);
	op_case_random(&c, 2, (int64_t[]){2, 5});
	set_s64(&c, 1, (int64_t[]){2});
	op_case_expect_error(&c, -EINVAL, "1 entries for 2 axes");
	op_case_ints(&c, "axes", 1, (int64_t[]){2});
	op_case_expect_error(&c, -EINVAL, "attribute axes");
	op_case_finish(&c);
}

/* ---- RoiAlign ---- */

/* The mean of a plane is its value at the region's centre: float64 shows it beyond float32's digits. */
static void aligned_regions_keep_their_type(void **state)
{
	static const enum dtype types[] = {DTYPE_F64, DTYPE_F32, DTYPE_F16};

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		const double step = types[k] == DTYPE_F64 ? 1 + 0x1p-40 : 1;
		struct op_case c;
		struct tensor *in, *rois;

		op_case_init(&c, "", "RoiAlign", 16);
		in = op_case_input(&c, types[k], 4, (int64_t[]){1, 1, 8, 8});
		rois = op_case_input(&c, types[k], 2, (int64_t[]){1, 4});
		op_case_input(&c, DTYPE_S64, 1, (int64_t[]){1});
		for (int i = 0; i < 64; i++) {
			double x = (i % 8 + 2 * (i / 8)) * step;

			cast_row(DTYPE_F64, types[k])(1, &x, (char *)in->data + (size_t)i * dtype_size(types[k]));
		}
		cast_row(DTYPE_F64, types[k])(4, (double[]){1, 2, 5, 6}, rois->data);
		op_case_int(&c, "sampling_ratio", 2);
		op_case_expect_ok(&c);
		/* Pixel centres are at halves: the centre (3, 4) is pixel (2.5, 3.5). */
		assert_true(tensor_get_f64(&c.outputs[0], 0) == 9.5 * step);
		op_case_finish(&c);
	}
}

/* ---- MaxRoiPool ---- */

static void regions_are_pooled(void **state)
{
	float image[36];
	struct op_case c;

	(void)state;
	for (int i = 0; i < 36; i++)
		image[i] = (float)i;
	op_case_init(&c, "", "MaxRoiPool", 22);
	c.pool = pool;
	set_f32(&c, 4, (int64_t[]){1, 1, 6, 6}, image);
	/* Scaled by a half: columns 1 to 4, rows 0 to 2; a single pixel; a region outside of the image. */
	set_f32(&c, 2, (int64_t[]){3, 5}, (float[]){0, 2, 0, 8, 4, 0, 6, 6, 6, 6, 0, 40, 40, 50, 50});
	op_case_ints(&c, "pooled_shape", 2, (int64_t[]){2, 2});
	op_case_float(&c, "spatial_scale", 0.5f);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){3, 1, 2, 2});
	/* Three rows in two cells: 0 to 1 and 1 to 2. */
	expect_near(&c.outputs[0], (float[]){8, 10, 14, 16, 21, 21, 21, 21, 0, 0, 0, 0}, 0, 0);
	op_case_finish(&c);
}

static void regions_of_no_image_are_refused(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "MaxRoiPool", 1);
	op_case_random(&c, 4, (int64_t[]){1, 1, 4, 4});
	set_f32(&c, 2, (int64_t[]){1, 5}, (float[]){1, 0, 0, 1, 1});
	op_case_expect_error(&c, -EINVAL, "pooled_shape");
	op_case_ints(&c, "pooled_shape", 2, (int64_t[]){1, 1});
	op_case_expect_error(&c, -EINVAL, "is of image 1 of 1");
	op_case_finish(&c);
}

/* ---- MaxUnpool and Col2Im ---- */

/* A pool's maxima at its indices give back the image where it had them. */
static void unpool_undoes_pool(void **state)
{
	struct op_case down, up;
	int64_t found = 0;

	(void)state;
	op_case_init(&down, "", "MaxPool", 22);
	down.node.num_outputs = 2;
	op_case_random(&down, 4, (int64_t[]){2, 3, 6, 8});
	op_case_ints(&down, "kernel_shape", 2, (int64_t[]){2, 2});
	op_case_ints(&down, "strides", 2, (int64_t[]){2, 2});
	op_case_expect_ok(&down);
	op_case_init(&up, "", "MaxUnpool", 22);
	set_f32(&up, 4, down.outputs[0].dims, down.outputs[0].data);
	memcpy(op_case_input(&up, DTYPE_S64, 4, down.outputs[1].dims)->data, down.outputs[1].data,
	       tensor_bytes(&down.outputs[1]));
	op_case_ints(&up, "kernel_shape", 2, (int64_t[]){2, 2});
	op_case_ints(&up, "strides", 2, (int64_t[]){2, 2});
	op_case_expect_ok(&up);
	expect_shape(&up.outputs[0], 4, (int64_t[]){2, 3, 6, 8});
	for (int i = 0; i < 288; i++) {
		float x = ((float *)up.outputs[0].data)[i];

		assert_true(x == 0 || x == ((float *)down.inputs[0].data)[i]);
		found += x != 0;
	}
	assert_int_equal(found, 72);
	op_case_finish(&down);
	op_case_finish(&up);
}

static void unpool_names_what_does_not_fit(void **state)
{
	static const struct {
		int64_t index, rows;
		const char *text;
	} cases[] = {
		{16, 4, "index 16 (input 1) of 16 elements"},
		{-1, 4, "index -1"},
		{0, 3, "3 at axis 2, expected at least 4"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "MaxUnpool", 9);
		op_case_random(&c, 4, (int64_t[]){1, 1, 2, 2});
		((int64_t *)op_case_input(&c, DTYPE_S64, 4, (int64_t[]){1, 1, 2, 2})->data)[3] = cases[i].index;
		set_s64(&c, 4, (int64_t[]){1, 1, cases[i].rows, 4});
		op_case_ints(&c, "kernel_shape", 2, (int64_t[]){2, 2});
		op_case_ints(&c, "strides", 2, (int64_t[]){2, 2});
		op_case_expect_error(&c, -EINVAL, cases[i].text);
		op_case_finish(&c);
	}
}

/* Columns of ones count how often each pixel is in a window. */
static void col2im_adds_windows(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Col2Im", 18);
	c.pool = pool;
	for (int i = 0; i < 2 * 9 * 4; i++)
		if (i == 0)
			op_case_input(&c, DTYPE_F32, 3, (int64_t[]){1, 18, 4});
	for (int i = 0; i < 72; i++)
		((float *)c.inputs[0].data)[i] = i < 36 ? 1 : 2;
	set_s64(&c, 2, (int64_t[]){4, 4});
	set_s64(&c, 2, (int64_t[]){3, 3});
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){1, 2, 4, 4});
	expect_near(&c.outputs[0], (float[]){1, 2, 2, 1, 2, 4, 4, 2, 2, 4, 4, 2, 1, 2, 2, 1,
					     2, 4, 4, 2, 4, 8, 8, 4, 4, 8, 8, 4, 2, 4, 4, 2},
		    0, 0);
	op_case_finish(&c);
}

static void col2im_names_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Col2Im", 18);
	op_case_random(&c, 3, (int64_t[]){1, 9, 5});
	set_s64(&c, 2, (int64_t[]){4, 4});
	set_s64(&c, 2, (int64_t[]){3, 3});
	op_case_expect_error(&c, -EINVAL, "not [batch, channels * 9, 4]");
	op_case_ints(&c, "strides", 2, (int64_t[]){0, 1});
	op_case_expect_error(&c, -EINVAL, "attribute strides has the entry 0");
	op_case_finish(&c);
}

/* ---- CumProd ---- */

static void products_run_along_the_axis(void **state)
{
	static const struct {
		bool exclusive, reverse;
		int32_t want[6];
	} cases[] = {
		{false, false, {1, 2, 6, 4, 20, 120}},
		{true, false, {1, 1, 2, 1, 4, 20}},
		{false, true, {6, 6, 3, 120, 30, 6}},
		{true, true, {6, 3, 1, 30, 6, 1}},
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct op_case c;

		op_case_init(&c, "", "CumProd", 26);
		memcpy(op_case_input(&c, DTYPE_S32, 2, (int64_t[]){2, 3})->data, (int32_t[]){1, 2, 3, 4, 5, 6}, 24);
		*(int64_t *)op_case_input(&c, DTYPE_S64, 0, NULL)->data = -1;
		op_case_int(&c, "exclusive", cases[i].exclusive);
		op_case_int(&c, "reverse", cases[i].reverse);
		op_case_expect_ok(&c);
		expect_same_bytes(&c.outputs[0], cases[i].want);
		op_case_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deformed_taps_are_sampled),
		cmocka_unit_test(without_shifts_it_is_conv),
		cmocka_unit_test(deform_conv_names_what_does_not_fit),
		cmocka_unit_test(affine_grid_maps_points),
		cmocka_unit_test(affine_grid_of_volumes),
		cmocka_unit_test(affine_grid_names_what_does_not_fit),
		cmocka_unit_test(samples_have_the_type_of_the_image),
		cmocka_unit_test(complex_samples_are_those_of_their_parts),
		cmocka_unit_test(nearest_rounds_halves_to_even),
		cmocka_unit_test(middle_stays),
		cmocka_unit_test(crop_names_what_does_not_fit),
		cmocka_unit_test(aligned_regions_keep_their_type),
		cmocka_unit_test(regions_are_pooled),
		cmocka_unit_test(regions_of_no_image_are_refused),
		cmocka_unit_test(unpool_undoes_pool),
		cmocka_unit_test(unpool_names_what_does_not_fit),
		cmocka_unit_test(col2im_adds_windows),
		cmocka_unit_test(col2im_names_what_does_not_fit),
		cmocka_unit_test(products_run_along_the_axis),
	};
	int failed;

	random_seed();
	if (cpu_pool_create(2, &pool))
		return 1;
	failed = cmocka_run_group_tests_name("deform", tests, NULL, NULL);
	cpu_pool_destroy(pool);
	return failed;
}
