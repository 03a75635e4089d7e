// SPDX-License-Identifier: MIT
/*
 * Cast and CastLike: every pair of types on every 8-bit pattern or random ones, against the rules of cast.h applied to single
 * values; what the attributes change; text.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/narrow_float.h"
#include "tests/unit/cpu/op_case.h"

static const enum dtype numbers[] = {
	DTYPE_F32,        DTYPE_U8,     DTYPE_S8,         DTYPE_U16,    DTYPE_S16, DTYPE_S32,    DTYPE_S64,
	DTYPE_BOOL,       DTYPE_F16,    DTYPE_F64,        DTYPE_U32,    DTYPE_U64, DTYPE_BF16,   DTYPE_F8E4M3FN,
	DTYPE_F8E4M3FNUZ, DTYPE_F8E5M2, DTYPE_F8E5M2FNUZ, DTYPE_U4,     DTYPE_S4,  DTYPE_F4E2M1, DTYPE_F8E8M0,
	DTYPE_U2,         DTYPE_S2,     DTYPE_F6E2M3,     DTYPE_F6E3M2,
};
#define NUM_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static bool is_any_float(enum dtype type)
{
	return dtype_is_float(type) || dtype_is_narrow_float(type);
}

static bool is_signed(enum dtype type)
{
	return type == DTYPE_S8 || type == DTYPE_S16 || type == DTYPE_S32 || type == DTYPE_S64 || type == DTYPE_S4 ||
	       type == DTYPE_S2;
}

/* Any pattern that the type allows in memory. */
static void fill(struct tensor *t)
{
	int bits = dtype_bits(t->dtype);
	uint8_t *bytes = t->data;

	for (size_t i = 0; i < tensor_bytes(t); i++)
		bytes[i] = dtype_size(t->dtype) == 1 ? (uint8_t)i : (uint8_t)random_below(256);
	for (int64_t i = 0; i < tensor_count(t); i++) {
		if (t->dtype == DTYPE_BOOL)
			bytes[i] &= 1;
		else if (bits < 8)
			bytes[i] = is_signed(t->dtype) ? (uint8_t)((int8_t)(bytes[i] << (8 - bits)) >> (8 - bits))
						       : bytes[i] & ((1 << bits) - 1);
		/* Half of the wide floats near the numbers that the other types have. */
		if (t->dtype == DTYPE_F32 && i & 1)
			((float *)t->data)[i] = ldexpf(random_float(-1, 1), (int)random_below(40) - 20);
		if (t->dtype == DTYPE_F64 && i & 1)
			((double *)t->data)[i] = ldexp(random_float(-1, 1), (int)random_below(40) - 20);
	}
}

/* The integer of @bits low bits of @value, as the type reads them. */
static int64_t low_bits(int64_t value, int bits, bool with_sign)
{
	uint64_t low = bits == 64 ? (uint64_t)value : (uint64_t)value & ((UINT64_C(1) << bits) - 1);

	return with_sign && bits < 64 && low >> (bits - 1) ? (int64_t)low - (INT64_C(1) << bits) : (int64_t)low;
}

/* Element @i of @in, cast to an integer type: the bits that the result must have. */
static int64_t expected_integer(const struct tensor *in, int64_t i, enum dtype to)
{
	int bits = dtype_bits(to);
	double x = tensor_get_f64(in, i), low, high;

	if (!is_any_float(in->dtype))
		return low_bits(in->dtype == DTYPE_U64 ? (int64_t)((uint64_t *)in->data)[i] : tensor_get_s64(in, i),
				bits, is_signed(to));
	if (x != x)
		return 0;
	x = trunc(x);
	if (bits < 8)
		return low_bits(x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x, bits, is_signed(to));
	low = is_signed(to) ? -ldexp(1, bits - 1) : 0;
	high = ldexp(1, is_signed(to) ? bits - 1 : bits);
	if (x < low)
		x = low;
	if (x >= high)
		return is_signed(to) ? (int64_t)((UINT64_C(1) << (bits - 1)) - 1) : low_bits(-1, bits, false);
	return x >= 0x1p63 ? (int64_t)(uint64_t)x : (int64_t)x;
}

static void element_is_cast(const struct tensor *in, const struct tensor *out, int64_t i)
{
	double x = tensor_get_f64(in, i), y = tensor_get_f64(out, i);
	bool good;

	if (out->dtype == in->dtype) {
		size_t size = dtype_size(in->dtype);

		good = !memcmp((char *)in->data + (size_t)i * size, (char *)out->data + (size_t)i * size, size);
	} else if (out->dtype == DTYPE_BOOL) {
		good = ((uint8_t *)out->data)[i] == (x != 0);
	} else if (!is_any_float(out->dtype)) {
		int64_t expected = expected_integer(in, i, out->dtype);

		good = out->dtype == DTYPE_U64 ? ((uint64_t *)out->data)[i] == (uint64_t)expected
					       : tensor_get_s64(out, i) == expected;
	} else if (dtype_is_narrow_float(out->dtype)) {
		/* The inputs are floats, or integers beyond the range of these types where they are no floats. */
		float f = in->dtype == DTYPE_F64 || dtype_size(in->dtype) == 8 ? f64_to_f32_odd(x) : (float)x;

		good = ((uint8_t *)out->data)[i] == (out->dtype == DTYPE_F8E8M0 ? f32_to_e8m0(f, E8M0_UP, true)
										: f32_to_narrow(out->dtype, f, true));
	} else if (x != x) {
		good = y != y;
	} else {
		double near = out->dtype == DTYPE_F64   ? x
			      : out->dtype == DTYPE_F32 ? (float)x
			      : out->dtype == DTYPE_F16 ? f16_to_f32(f32_to_f16(f64_to_f32_odd(x)))
							: bf16_to_f32(f32_to_bf16(f64_to_f32_odd(x)));

		/* 64-bit integers that no double holds may be rounded once. */
		good = y == near || (dtype_size(in->dtype) == 8 && !is_any_float(in->dtype) &&
				     fabs(y - near) <= fabs(near) * 0x1p-23);
	}
	if (!good)
		fail_msg("%s to %s: element %d, %.17g became %.17g", dtype_name(in->dtype), dtype_name(out->dtype),
			 (int)i, x, y);
}

static void every_pair_of_types(void **state)
{
	int64_t count = 1100; /* more than two blocks, and a rest */

	(void)state;
	random_seed();
	for (size_t from = 0; from < NUM_NUMBERS; from++)
		for (size_t to = 0; to < NUM_NUMBERS; to++)
			for (int like = 0; like < 2; like++) {
				struct op_case c;

				op_case_init(&c, "", like ? "CastLike" : "Cast", 25);
				fill(op_case_input(&c, numbers[from], 1, &count));
				if (like)
					op_case_input(&c, numbers[to], 0, NULL);
				else
					op_case_int(&c, "to", numbers[to]);
				op_case_expect_ok(&c);
				assert_int_equal(c.outputs[0].dtype, numbers[to]);
				for (int64_t i = 0; i < count; i++)
					element_is_cast(&c.inputs[0], &c.outputs[0], i);
				op_case_finish(&c);
				if (count == 1100)
					count = 3; /* few elements take another way */
				else
					count = 1100;
			}
}

/* The first rounding, to float32, must not decide the second. */
static void doubles_are_rounded_once(void **state)
{
	/* Above the middle of 1 and 1.125 by less than float32 can tell. */
	const double inputs[] = {1.0625 + 0x1p-40, 1.0625, 1.0625 - 0x1p-40, -1.0625 - 0x1p-40, 1 + 0x1p-40};
	const uint8_t e4m3[] = {0x39, 0x38, 0x38, 0xb9, 0x38}, scales[] = {128, 128, 128, 128, 128};
	int64_t count = 5;

	(void)state;
	for (int scale = 0; scale < 2; scale++) {
		struct op_case c;

		op_case_init(&c, "", "Cast", 25);
		memcpy(op_case_input(&c, DTYPE_F64, 1, &count)->data, inputs, sizeof(inputs));
		op_case_int(&c, "to", scale ? DTYPE_F8E8M0 : DTYPE_F8E4M3FN);
		op_case_expect_ok(&c);
		expect_same_bytes(&c.outputs[0], scale ? scales : e4m3);
		op_case_finish(&c);
	}
}

static void attributes_choose_overflow_and_rounding(void **state)
{
	static const struct {
		enum dtype to;
		int saturate;
		const char *round;
		uint8_t expected[6];
	} cases[] = {
		/* 1000, -inf, 1.25, 1.5, 0, 1e-42 */
		{DTYPE_F8E4M3FN, 1, NULL, {0x7e, 0xfe, 0x3a, 0x3c, 0, 0}},
		{DTYPE_F8E4M3FN, 0, NULL, {0x7f, 0xff, 0x3a, 0x3c, 0, 0}},
		{DTYPE_F8E5M2, 1, NULL, {0x64, 0xfb, 0x3d, 0x3e, 0, 0}},
		{DTYPE_F8E5M2, 0, NULL, {0x64, 0xfc, 0x3d, 0x3e, 0, 0}},
		{DTYPE_F8E4M3FNUZ, 0, NULL, {0x80, 0x80, 0x42, 0x44, 0, 0}},
		{DTYPE_F8E8M0, 1, "up", {137, 254, 128, 128, 0, 0}},
		{DTYPE_F8E8M0, 1, "down", {136, 254, 127, 127, 0, 0}},
		{DTYPE_F8E8M0, 0, "nearest", {137, 255, 127, 128, 255, 255}},
	};
	const float inputs[] = {1000, -INFINITY, 1.25f, 1.5f, 0, 1e-42f};
	int64_t count = 6;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", "Cast", 25);
		memcpy(op_case_input(&c, DTYPE_F32, 1, &count)->data, inputs, sizeof(inputs));
		op_case_int(&c, "to", cases[i].to);
		op_case_int(&c, "saturate", cases[i].saturate);
		if (cases[i].round)
			op_case_string(&c, "round_mode", cases[i].round);
		op_case_expect_ok(&c);
		expect_same_bytes(&c.outputs[0], cases[i].expected);
		op_case_finish(&c);
	}
}

static void numbers_become_text_and_come_back(void **state)
{
	(void)state;
	random_seed();
	for (size_t k = 0; k < NUM_NUMBERS; k++) {
		int64_t count = 300;
		struct op_case there, back;

		if (numbers[k] == DTYPE_BOOL) /* True is no number */
			continue;
		op_case_init(&there, "", "Cast", 25);
		op_case_int(&there, "to", DTYPE_STRING);
		fill(op_case_input(&there, numbers[k], 1, &count));
		op_case_expect_ok(&there);
		op_case_init(&back, "", "Cast", 25);
		op_case_int(&back, "to", numbers[k]);
		op_case_int(&back, "saturate", 0);
		/* A shortest decimal may lie just above the power of two that it stands for. */
		op_case_string(&back, "round_mode", "nearest");
		tensor_finish(op_case_input(&back, DTYPE_STRING, 1, &count));
		assert_int_equal(tensor_copy(&back.inputs[0], &there.outputs[0]), 0);
		op_case_expect_ok(&back);
		for (int64_t i = 0; i < count; i++) {
			double x = tensor_get_f64(&there.inputs[0], i), y = tensor_get_f64(&back.outputs[0], i);

			if (!(x == y || (x != x && y != y)))
				fail_msg("%s: %.17g became \"%s\" and %.17g", dtype_name(numbers[k]), x,
					 ((struct tensor_string *)there.outputs[0].data)[i].data, y);
		}
		op_case_finish(&back);
		op_case_finish(&there);
	}
}

static void text_as_numpy_writes_it(void **state)
{
	static const struct {
		enum dtype from;
		double value;
		const char *text;
	} cases[] = {
		{DTYPE_F32, 0.47892547, "0.47892547"},
		{DTYPE_F32, 1e6, "1000000.0"},
		{DTYPE_F64, 0.1, "0.1"},
		{DTYPE_F32, NAN, "NaN"},
		{DTYPE_F32, -INFINITY, "-INF"},
		{DTYPE_F64, 1e22, "1e+22"},
		{DTYPE_F16, 0.1, "0.1"},
		{DTYPE_F8E4M3FN, 448, "448.0"},
		{DTYPE_S4, -8, "-8"},
		{DTYPE_F4E2M1, 1.5, "1.5"},
		{DTYPE_BOOL, 1, "True"},
		{DTYPE_U64, 18446744073709549568.0, "18446744073709549568"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case number, c;
		const struct tensor_string *s;

		op_case_init(&number, "", "Cast", 25);
		op_case_int(&number, "to", cases[i].from);
		*(double *)op_case_input(&number, DTYPE_F64, 0, NULL)->data = cases[i].value;
		op_case_expect_ok(&number);
		op_case_init(&c, "", "Cast", 25);
		op_case_int(&c, "to", DTYPE_STRING);
		memcpy(op_case_input(&c, cases[i].from, 0, NULL)->data, number.outputs[0].data,
		       dtype_size(cases[i].from));
		op_case_expect_ok(&c);
		s = c.outputs[0].data;
		assert_int_equal(s->size, strlen(cases[i].text));
		assert_memory_equal(s->data, cases[i].text, s->size);
		op_case_finish(&c);
		op_case_finish(&number);
	}
}

static void set_string(struct tensor *t, const char *bytes, size_t size)
{
	struct tensor_string *s = t->data;

	s->data = malloc(size + 1);
	memcpy(s->data, bytes, size);
	s->size = size;
}

static void what_is_no_cast_is_refused(void **state)
{
	static const struct {
		enum dtype from;
		int64_t to;
		int err;
		const char *round, *says;
	} cases[] = {
		{DTYPE_C64, DTYPE_F32, -ENOTSUP, NULL, "from complex64 to float32"},
		{DTYPE_F32, DTYPE_C128, -ENOTSUP, NULL, "from float32 to complex128"},
		{DTYPE_C64, DTYPE_STRING, -ENOTSUP, NULL, "from complex64 to string"},
		{DTYPE_F32, 29, -ENOTSUP, NULL, "to = 29 is no type known here"},
		{DTYPE_F32, -3, -ENOTSUP, NULL, "to = -3"},
		{DTYPE_F32, DTYPE_F8E8M0, -EINVAL, "sideways", "round_mode is not up, down or nearest"},
	};
	static const struct {
		const char *text;
		size_t size;
	} texts[] = {{"", 0}, {"1x", 2}, {"3\0", 2}, {"--1", 3}};
	struct op_case c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		op_case_init(&c, "", "Cast", 25);
		op_case_input(&c, cases[i].from, 0, NULL);
		op_case_int(&c, "to", cases[i].to);
		if (cases[i].round)
			op_case_string(&c, "round_mode", cases[i].round);
		op_case_expect_error(&c, cases[i].err, cases[i].says);
		op_case_finish(&c);
	}
	op_case_init(&c, "", "Cast", 25);
	op_case_input(&c, DTYPE_F32, 0, NULL);
	op_case_expect_error(&c, -EINVAL, "'to' is missing");
	op_case_finish(&c);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		op_case_init(&c, "", "Cast", 25);
		set_string(op_case_input(&c, DTYPE_STRING, 0, NULL), texts[i].text, texts[i].size);
		op_case_int(&c, "to", DTYPE_S4);
		op_case_expect_error(&c, -EINVAL, "is not a int4");
		op_case_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_types),
		cmocka_unit_test(doubles_are_rounded_once),
		cmocka_unit_test(attributes_choose_overflow_and_rounding),
		cmocka_unit_test(numbers_become_text_and_come_back),
		cmocka_unit_test(text_as_numpy_writes_it),
		cmocka_unit_test(what_is_no_cast_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
