// SPDX-License-Identifier: MIT
/*
 * ImageDecoder against Pillow's pixels; every file also cut at each byte, which has to give nothing and no crash.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"
#include "tests/unit/ops/image_files.h"

static void start(struct op_case *c, const void *data, size_t size, const char *format)
{
	op_case_init(c, "", "ImageDecoder", 20);
	memcpy(op_case_input(c, DTYPE_U8, 1, (int64_t[]){(int64_t)size})->data, data, size);
	if (format)
		op_case_string(c, "pixel_format", format);
}

/* Run; false for a format whose library this build does not have, which the error must say. */
static bool decodes(struct op_case *c)
{
	int err = op_case_run(c);

	if (err == -ENOTSUP && strstr(c->error, "this build has no")) {
		printf("[  SKIPPED ] %s\n", c->error);
		return false;
	}
	if (err)
		fail_msg("%d: %s", err, c->error);
	return true;
}

#define FILE_OF(name)                     \
	{                                 \
#name, name, sizeof(name) \
	}
static const struct {
	const char *name;
	const uint8_t *data;
	size_t size;
} lossless[] = {
	FILE_OF(bmp_24),   FILE_OF(png_rgb),       FILE_OF(png_rgba), FILE_OF(png_palette), FILE_OF(tiff_plain),
	FILE_OF(tiff_lzw), FILE_OF(webp_lossless), FILE_OF(jp2_file), FILE_OF(j2k_stream),
};
#define NUM_LOSSLESS (sizeof(lossless) / sizeof(lossless[0]))

static void lossless_files_give_their_pixels(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_LOSSLESS; i++) {
		struct op_case c;

		start(&c, lossless[i].data, lossless[i].size, NULL);
		if (decodes(&c)) {
			const uint8_t *got = c.outputs[0].data;

			expect_shape(&c.outputs[0], 3, (int64_t[]){3, 5, 3});
			for (int p = 0; p < 15; p++) {
				uint8_t want[3] = {p % 5 * 50, p / 5 * 100, (p % 5 + p / 5) * 30};

				if (memcmp(got + 3 * p, want, 3))
					fail_msg("%s: pixel %d is %d, %d, %d", lossless[i].name, p, got[3 * p],
						 got[3 * p + 1], got[3 * p + 2]);
			}
		}
		op_case_finish(&c);
	}
}

static void jpegs_are_pillows(void **state)
{
	static const struct {
		const uint8_t *data, *want;
		size_t size;
		int tolerance;
	} cases[] = {
		{jpeg_420, jpeg_420_pixels, sizeof(jpeg_420), 0},
		/* Pillow rounds the product of colour and black in its own way. */
		{jpeg_cmyk, jpeg_cmyk_pixels, sizeof(jpeg_cmyk), 1},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct op_case c;

		start(&c, cases[i].data, cases[i].size, "RGB");
		if (decodes(&c)) {
			expect_shape(&c.outputs[0], 3, (int64_t[]){8, 8, 3});
			for (int k = 0; k < 192; k++)
				assert_true(abs(((uint8_t *)c.outputs[0].data)[k] - cases[i].want[k]) <=
					    cases[i].tolerance);
		}
		op_case_finish(&c);
	}
}

static void bitmaps_have_runs_and_fields(void **state)
{
	/* Rows from the bottom: a run of five; five one by one; two runs with a move between them. */
	static const uint8_t indices[] = {2, 2, 0, 1, 1, 0, 1, 2, 1, 0, 1, 1, 1, 1, 1};
	static const uint8_t colours[][3] = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}};
	static const uint8_t fields[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
	struct op_case c;

	(void)state;
	start(&c, bmp_rle8, sizeof(bmp_rle8), NULL);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 3, (int64_t[]){3, 5, 3});
	for (int i = 0; i < 15; i++)
		assert_memory_equal((uint8_t *)c.outputs[0].data + 3 * i, colours[indices[i]], 3);
	op_case_finish(&c);
	start(&c, bmp_565, sizeof(bmp_565), NULL);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 3, (int64_t[]){2, 2, 3});
	expect_same_bytes(&c.outputs[0], fields);
	op_case_finish(&c);
}

static void anymaps_of_every_kind(void **state)
{
	static const struct {
		const char *file;
		size_t size;
		uint8_t want[6];
	} cases[] = {
		{"P1 2 1\n#c\n10", 12, {0, 0, 0, 255, 255, 255}},
		{"P2 2 1 15 0 15", 14, {0, 0, 0, 255, 255, 255}},
		{"P3\n2 1\n255\n1 2 3 4 5 6", 23, {1, 2, 3, 4, 5, 6}},
		{"P4 2 1\n\x80", 8, {0, 0, 0, 255, 255, 255}},
		{"P5 2 1 65535\n\x80\x00\xff\xff", 17, {128, 128, 128, 255, 255, 255}},
		{"P6 2 1 255\n\1\2\3\4\5\6", 17, {1, 2, 3, 4, 5, 6}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		start(&c, cases[i].file, cases[i].size, NULL);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], 3, (int64_t[]){1, 2, 3});
		expect_same_bytes(&c.outputs[0], cases[i].want);
		op_case_finish(&c);
	}
}

static void pixel_formats_are_bgr_and_luma(void **state)
{
	struct op_case c;

	(void)state;
	start(&c, "P6 1 1 255\n\xc8\x64\x32", 14, "BGR");
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], (uint8_t[]){50, 100, 200});
	op_case_finish(&c);
	/* 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2 */
	start(&c, "P6 1 1 255\n\xc8\x64\x32", 14, "Grayscale");
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 3, (int64_t[]){1, 1, 1});
	expect_same_bytes(&c.outputs[0], (uint8_t[]){124});
	op_case_finish(&c);
	start(&c, "P6 1 1 255\n\xc8\x64\x32", 14, "RGBA");
	op_case_expect_error(&c, -EINVAL, "none of RGB, BGR, Grayscale");
	op_case_finish(&c);
}

/* A file cut short may lose what comes behind its pixels, and nothing else. */
static void cut_files_give_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_LOSSLESS; i++)
		for (size_t size = 0; size < lossless[i].size; size++) {
			struct op_case c;
			int err;

			start(&c, lossless[i].data, size, NULL);
			err = op_case_run(&c);
			if (!err && size < lossless[i].size / 2 && tensor_count(&c.outputs[0]))
				fail_msg("%s cut to %zu bytes decodes", lossless[i].name, size);
			if (err && (err != -ENOTSUP || !strstr(c.error, "ImageDecoder: input 0 is ")))
				fail_msg("%s cut to %zu bytes: %d, %s", lossless[i].name, size, err, c.error);
			op_case_finish(&c);
		}
	for (size_t size = 0; size < sizeof(jpeg_420) - 8; size++) {
		struct op_case c;

		start(&c, jpeg_420, size, NULL);
		op_case_expect_ok(&c);
		assert_int_equal(tensor_count(&c.outputs[0]), 0);
		op_case_finish(&c);
	}
}

/* What the specification wants for a file that is damaged or no image: an empty tensor. What is too large here is an error. */
static void wrong_files_give_nothing(void **state)
{
	static const struct {
		const char *file;
		size_t size;
		const char *error;
	} cases[] = {
		{"", 0, NULL},
		{"GIF89a", 6, NULL},
		{"P6 70000 1 255\n", 15, "an image of 70000 x 1 pixels"},
		{"P6 65535 65535 255\n", 19, "an image of 65535 x 65535 pixels"},
		{"P6 99999999999999999999 1 255\n", 30, "pixels"},
		{"P5 2 1 0\n12", 11, NULL},
		{"P2 2 1 15 0 16", 14, NULL},
		{"P5 2 2 255\n123", 14, NULL},
		{"BM", 2, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		start(&c, cases[i].file, cases[i].size, i % 2 ? "Grayscale" : "BGR");
		if (cases[i].error) {
			op_case_expect_error(&c, -ENOTSUP, cases[i].error);
		} else {
			op_case_expect_ok(&c);
			expect_shape(&c.outputs[0], 3, (int64_t[]){0, 0, i % 2 ? 1 : 3});
			assert_int_equal(c.outputs[0].dtype, DTYPE_U8);
		}
		op_case_finish(&c);
	}
}

/* Any byte changed: an answer or an error, the sanitizers watch. */
static void damaged_files_do_no_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_LOSSLESS; i++)
		for (int round = 0; round < 200; round++) {
			uint8_t copy[2048];
			struct op_case c;

			memcpy(copy, lossless[i].data, lossless[i].size);
			for (int k = 0; k < 3; k++)
				copy[random_below((uint32_t)lossless[i].size)] = (uint8_t)random_below(256);
			start(&c, copy, lossless[i].size, NULL);
			if (!op_case_run(&c))
				assert_int_equal(c.outputs[0].rank, 3);
			op_case_finish(&c);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lossless_files_give_their_pixels), cmocka_unit_test(jpegs_are_pillows),
		cmocka_unit_test(bitmaps_have_runs_and_fields),     cmocka_unit_test(anymaps_of_every_kind),
		cmocka_unit_test(pixel_formats_are_bgr_and_luma),   cmocka_unit_test(cut_files_give_nothing),
		cmocka_unit_test(wrong_files_give_nothing),         cmocka_unit_test(damaged_files_do_no_harm),
	};

	random_seed();
	return cmocka_run_group_tests_name("image decoder", tests, NULL, NULL);
}
