// SPDX-License-Identifier: MIT
/*
 * QuantizeLinear and DequantizeLinear in every granularity and type, against one loop over coordinates.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/narrow_float.h"
#include "tests/unit/cpu/op_case.h"

enum granularity { PER_TENSOR, PER_AXIS, BLOCKED };

static const struct integers {
	enum dtype dtype;
	int low, high;
} integers[] = {{DTYPE_U8, 0, 255}, {DTYPE_S8, -128, 127}, {DTYPE_U16, 0, 65535}, {DTYPE_S16, -32768, 32767},
		{DTYPE_U4, 0, 15},  {DTYPE_S4, -8, 7},     {DTYPE_U2, 0, 3},      {DTYPE_S2, -2, 1}};
#define NUM_INTEGERS (sizeof(integers) / sizeof(integers[0]))

static const enum dtype floats[] = {DTYPE_F8E4M3FN, DTYPE_F8E4M3FNUZ, DTYPE_F8E5M2, DTYPE_F8E5M2FNUZ,
				    DTYPE_F4E2M1,   DTYPE_F6E2M3,     DTYPE_F6E3M2};
static const enum dtype wide[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};

/* A shape, an axis of it and the scale's shape for a granularity. */
struct setting {
	enum granularity granularity;
	int rank, axis, scale_rank;
	int64_t dims[3], scale_dims[3], block;
};

static struct setting random_setting(void)
{
	struct setting s = {.granularity = (enum granularity)random_below(3), .rank = 1 + (int)random_below(3)};

	s.axis = (int)random_below((uint32_t)s.rank);
	for (int i = 0; i < s.rank; i++)
		s.dims[i] = 2 + random_below(i == s.axis ? 40 : 5);
	s.block = 1 + random_below((uint32_t)s.dims[s.axis]);
	if (s.granularity == PER_AXIS) {
		s.scale_rank = 1;
		s.scale_dims[0] = s.dims[s.axis];
	} else if (s.granularity == BLOCKED) {
		s.scale_rank = s.rank;
		memcpy(s.scale_dims, s.dims, sizeof(s.dims));
		s.scale_dims[s.axis] = (s.dims[s.axis] + s.block - 1) / s.block;
	}
	return s;
}

/* The scale's position for element @i: coordinates, then the axis's one divided by the block. */
static int64_t parameter_of(const struct setting *s, int64_t i)
{
	int64_t at[3], position = 0;

	for (int d = s->rank - 1; d >= 0; d--) {
		at[d] = i % s->dims[d];
		i /= s->dims[d];
	}
	if (s->granularity == PER_TENSOR)
		return 0;
	if (s->granularity == PER_AXIS)
		return at[s->axis];
	for (int d = 0; d < s->rank; d++)
		position = position * s->scale_dims[d] + (d == s->axis ? at[d] / s->block : at[d]);
	return position;
}

static void set(struct tensor *t, int64_t i, float value)
{
	switch (t->dtype) {
	case DTYPE_F16:
		((uint16_t *)t->data)[i] = f32_to_f16(value);
		break;
	case DTYPE_BF16:
		((uint16_t *)t->data)[i] = f32_to_bf16(value);
		break;
	case DTYPE_F32:
		((float *)t->data)[i] = value;
		break;
	case DTYPE_S32:
		((int32_t *)t->data)[i] = (int32_t)value;
		break;
	case DTYPE_U16:
	case DTYPE_S16:
		((uint16_t *)t->data)[i] = (uint16_t)(int)value;
		break;
	default:
		((uint8_t *)t->data)[i] = dtype_is_narrow_float(t->dtype)
						  ? t->dtype == DTYPE_F8E8M0 ? f32_to_e8m0(value, E8M0_UP, true)
									     : f32_to_narrow(t->dtype, value, true)
						  : (uint8_t)(int)value;
	}
}

static float round_to(enum dtype type, float value)
{
	return type == DTYPE_F16    ? f16_to_f32(f32_to_f16(value))
	       : type == DTYPE_BF16 ? bf16_to_f32(f32_to_bf16(value))
				    : value;
}

static void start(struct op_case *c, const char *op_type, const struct setting *s)
{
	op_case_init(c, "", op_type, 25);
	op_case_int(c, "axis", random_below(2) ? s->axis : s->axis - s->rank);
	if (s->granularity == BLOCKED)
		op_case_int(c, "block_size", s->block);
}

static void add_scale(struct op_case *c, const struct setting *s, enum dtype type)
{
	struct tensor *scale = op_case_input(c, type, s->scale_rank, s->scale_dims);

	for (int64_t i = 0; i < tensor_count(scale); i++)
		set(scale, i, random_float(0.01f, 0.2f));
}

static void quantize_to_integers(void **state)
{
	(void)state;
	random_seed();
	for (int round = 0; round < 400; round++) {
		const struct integers *to = &integers[round % NUM_INTEGERS];
		struct setting s = random_setting();
		enum dtype x_type = random_below(4) ? wide[random_below(3)] : DTYPE_S32,
			   scale_type = wide[random_below(3)];
		enum dtype precision = random_below(2) ? wide[random_below(3)] : DTYPE_UNDEFINED;
		bool with_zero = random_below(2), without_type = with_zero && random_below(2);
		struct op_case c;

		start(&c, "QuantizeLinear", &s);
		if (!without_type)
			op_case_int(&c, "output_dtype", to->dtype);
		if (precision)
			op_case_int(&c, "precision", precision);
		op_case_input(&c, x_type, s.rank, s.dims);
		for (int64_t i = 0; i < tensor_count(&c.inputs[0]); i++)
			set(&c.inputs[0], i, random_float(-30, 30));
		add_scale(&c, &s, scale_type);
		if (with_zero) {
			struct tensor *zero = op_case_input(&c, to->dtype, s.scale_rank, s.scale_dims);

			for (int64_t i = 0; i < tensor_count(zero); i++)
				set(zero, i, (float)(to->low + (int)random_below((uint32_t)(to->high - to->low + 1))));
		}
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, to->dtype);
		for (int64_t i = 0; i < tensor_count(&c.inputs[0]); i++) {
			int64_t k = parameter_of(&s, i);
			enum dtype p = precision ? precision : scale_type;
			float x = round_to(p, (float)tensor_get_f64(&c.inputs[0], i));
			float scale = round_to(p, (float)tensor_get_f64(&c.inputs[1], k));
			double zero = with_zero ? tensor_get_f64(&c.inputs[2], k) : 0;
			double y = nearbyint((double)round_to(p, x / scale)) + zero;

			y = fmin(fmax(y, to->low), to->high);
			if (tensor_get_f64(&c.outputs[0], i) != y)
				fail_msg("%s from %s, scale %s, precision %s, granularity %d: element %d is %g, "
					 "expected %g",
					 dtype_name(to->dtype), dtype_name(x_type), dtype_name(scale_type),
					 dtype_name(p), s.granularity, (int)i, tensor_get_f64(&c.outputs[0], i), y);
		}
		op_case_finish(&c);
	}
}

static void quantize_to_narrow_floats(void **state)
{
	(void)state;
	random_seed();
	for (int round = 0; round < 200; round++) {
		enum dtype to = floats[round % 5];
		struct setting s = random_setting();
		bool saturate = random_below(2), with_zero = random_below(2);
		struct op_case c;

		start(&c, "QuantizeLinear", &s);
		op_case_int(&c, "saturate", saturate);
		op_case_int(&c, "output_dtype", to);
		op_case_input(&c, DTYPE_F32, s.rank, s.dims);
		for (int64_t i = 0; i < tensor_count(&c.inputs[0]); i++)
			set(&c.inputs[0], i, ldexpf(random_float(-1, 1), (int)random_below(16)));
		add_scale(&c, &s, round & 8 ? DTYPE_F8E8M0 : DTYPE_F32);
		if (with_zero)
			op_case_input(&c, to, s.scale_rank, s.scale_dims);
		op_case_expect_ok(&c);
		for (int64_t i = 0; i < tensor_count(&c.inputs[0]); i++) {
			float x = ((float *)c.inputs[0].data)[i];
			float scale = (float)tensor_get_f64(&c.inputs[1], parameter_of(&s, i));

			assert_int_equal(((uint8_t *)c.outputs[0].data)[i], f32_to_narrow(to, x / scale, saturate));
		}
		op_case_finish(&c);
	}
}

static void dequantize_all_types(void **state)
{
	(void)state;
	random_seed();
	for (int round = 0; round < 400; round++) {
		bool is_float = round % 3 == 0;
		const struct integers *from = &integers[random_below(NUM_INTEGERS)];
		enum dtype type = is_float ? floats[random_below(5)] : from->dtype, result = wide[random_below(3)];
		bool e8m0 = random_below(4) == 0, stated = e8m0 || random_below(2);
		enum dtype scale_type = e8m0 ? DTYPE_F8E8M0 : stated ? wide[random_below(3)] : result;
		struct setting s = random_setting();
		bool with_zero = random_below(2);
		struct op_case c;

		start(&c, "DequantizeLinear", &s);
		if (stated)
			op_case_int(&c, "output_dtype", result);
		op_case_input(&c, type, s.rank, s.dims);
		for (int64_t i = 0; i < tensor_count(&c.inputs[0]); i++)
			set(&c.inputs[0], i,
			    is_float ? random_float(-5, 5)
				     : (float)(from->low + (int)random_below((uint32_t)(from->high - from->low + 1))));
		add_scale(&c, &s, scale_type);
		if (with_zero) {
			struct tensor *zero = op_case_input(&c, type, s.scale_rank, s.scale_dims);

			for (int64_t i = 0; i < tensor_count(zero) && !is_float; i++)
				set(zero, i,
				    (float)(from->low + (int)random_below((uint32_t)(from->high - from->low + 1))));
		}
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, result);
		for (int64_t i = 0; i < tensor_count(&c.inputs[0]); i++) {
			int64_t k = parameter_of(&s, i);
			float zero = with_zero ? (float)tensor_get_f64(&c.inputs[2], k) : 0;
			float y = ((float)tensor_get_f64(&c.inputs[0], i) - zero) *
				  (float)tensor_get_f64(&c.inputs[1], k);

			if ((float)tensor_get_f64(&c.outputs[0], i) != round_to(result, y))
				fail_msg("%s to %s, granularity %d: element %d is %g, expected %g", dtype_name(type),
					 dtype_name(result), s.granularity, (int)i, tensor_get_f64(&c.outputs[0], i),
					 round_to(result, y));
		}
		op_case_finish(&c);
	}
}

static void forms_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		const char *op_type;
		enum dtype x, scale, zero; /* zero UNDEFINED: none */
		int64_t scale_count;
		const char *attr;
		int64_t value;
		int err;
		const char *says;
	} cases[] = {
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, DTYPE_U8, 1, "output_dtype", DTYPE_S8, -EINVAL,
		 "output_dtype is int8, the zero point is uint8"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 1, "output_dtype", DTYPE_F16, -EINVAL,
		 "float16 is no type to quantize to"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 1, "output_dtype", DTYPE_F8E8M0, -EINVAL,
		 "float8_e8m0fnu is no type to quantize to"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 1, "output_dtype", 99, -EINVAL, "output_dtype = 99"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 1, "precision", DTYPE_F64, -ENOTSUP,
		 "a precision of float64"},
		{"QuantizeLinear", DTYPE_U8, DTYPE_F32, 0, 1, NULL, 0, -EINVAL, "input 0 is uint8"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_U8, 0, 1, NULL, 0, -EINVAL, "input 1 (the scale) is uint8"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 3, "axis", 2, -EINVAL,
		 "axis 2 is none of an input of rank 2"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 3, NULL, 0, -EINVAL, "3 elements, which do not fit axis 1"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 2, "block_size", -1, -EINVAL, "block_size is -1"},
		{"QuantizeLinear", DTYPE_F32, DTYPE_F32, 0, 2, "block_size", 3, -EINVAL,
		 "the scale has rank 1, the input rank 2"},
		{"DequantizeLinear", DTYPE_F16, DTYPE_F32, 0, 1, NULL, 0, -EINVAL, "input 0 is float16"},
		{"DequantizeLinear", DTYPE_S4, DTYPE_F32, DTYPE_U4, 1, NULL, 0, -EINVAL,
		 "the zero point is uint4, the input int4"},
		{"DequantizeLinear", DTYPE_S4, DTYPE_F8E8M0, 0, 1, NULL, 0, -EINVAL, "an output of float8_e8m0fnu"},
		{"DequantizeLinear", DTYPE_S4, DTYPE_F64, 0, 1, NULL, 0, -EINVAL, "input 1 (the scale) is float64"},
	};
	int64_t dims[] = {2, 4};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, "", cases[i].op_type, 25);
		op_case_input(&c, cases[i].x, 2, dims);
		op_case_input(&c, cases[i].scale, cases[i].scale_count > 1, &cases[i].scale_count);
		if (cases[i].zero)
			op_case_input(&c, cases[i].zero, cases[i].scale_count > 1, &cases[i].scale_count);
		if (cases[i].attr)
			op_case_int(&c, cases[i].attr, cases[i].value);
		op_case_expect_error(&c, cases[i].err, cases[i].says);
		op_case_finish(&c);
	}
}

static void a_block_of_the_wrong_size_is_named(void **state)
{
	int64_t dims[] = {2, 7}, scale[] = {2, 2};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "DequantizeLinear", 25);
	op_case_input(&c, DTYPE_S4, 2, dims);
	op_case_input(&c, DTYPE_F32, 2, scale);
	op_case_int(&c, "block_size", 3);
	op_case_expect_error(&c, -EINVAL, "dimension 1 of the scale is 2, with block_size 3 on axis 1 it must be 3");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantize_to_integers),
		cmocka_unit_test(quantize_to_narrow_floats),
		cmocka_unit_test(dequantize_all_types),
		cmocka_unit_test(forms_that_do_not_fit_are_refused),
		cmocka_unit_test(a_block_of_the_wrong_size_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
