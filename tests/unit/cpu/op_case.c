// SPDX-License-Identifier: MIT
/*
 * One operator call for a test: see op_case.h.
 */
#include "tests/unit/cpu/op_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;

void random_seed(void)
{
	const char *text = getenv("AXL_TEST_SEED");

	random_state = text ? strtoull(text, NULL, 0) : 1;
	printf("seed: AXL_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t random_bits(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t random_below(uint32_t bound)
{
	return (uint32_t)(random_bits() >> 32) % bound;
}

float random_float(float low, float high)
{
	return low + (high - low) * (float)(random_bits() >> 40) * 0x1p-24f;
}

void op_case_init(struct op_case *c, const char *domain, const char *op_type, int opset)
{
	*c = (struct op_case){.node = {.name = "case", .domain = domain, .op_type = op_type, .opset = opset}};
	c->node.attrs = c->attrs;
	c->node.num_outputs = 1;
}

void op_case_finish(struct op_case *c)
{
	for (size_t i = 0; i < OP_CASE_MAX; i++) {
		tensor_finish(&c->inputs[i]);
		tensor_finish(&c->outputs[i]);
	}
}

static struct attr *add_attr(struct op_case *c, const char *name, enum attr_type type)
{
	struct attr *attr = &c->attrs[c->node.num_attrs++];

	assert_true(c->node.num_attrs <= OP_CASE_MAX);
	*attr = (struct attr){.name = name, .type = type};
	return attr;
}

void op_case_int(struct op_case *c, const char *name, int64_t value)
{
	add_attr(c, name, ATTR_INT)->i = value;
}

void op_case_float(struct op_case *c, const char *name, float value)
{
	add_attr(c, name, ATTR_FLOAT)->f = value;
}

void op_case_string(struct op_case *c, const char *name, const char *value)
{
	add_attr(c, name, ATTR_STRING)->s = (struct tensor_string){(char *)(uintptr_t)value, strlen(value)};
}

void op_case_ints(struct op_case *c, const char *name, size_t count, const int64_t *values)
{
	int64_t *ints = c->ints[c->node.num_attrs];
	struct attr *attr = add_attr(c, name, ATTR_INTS);

	memcpy(ints, values, count * sizeof(*ints));
	attr->ints = ints;
	attr->count = count;
}

void op_case_floats(struct op_case *c, const char *name, size_t count, const float *values)
{
	float *floats = c->floats[c->node.num_attrs];
	struct attr *attr = add_attr(c, name, ATTR_FLOATS);

	memcpy(floats, values, count * sizeof(*floats));
	attr->floats = floats;
	attr->count = count;
}

void op_case_attr(struct op_case *c, const struct attr *attr)
{
	*add_attr(c, attr->name, attr->type) = *attr;
}

struct tensor *op_case_input(struct op_case *c, enum dtype type, int rank, const int64_t *dims)
{
	struct tensor *t = &c->inputs[c->node.num_inputs++];

	assert_true(c->node.num_inputs <= OP_CASE_MAX);
	assert_int_equal(tensor_init(t, type, rank, dims), 0);
	return t;
}

float *op_case_random(struct op_case *c, int rank, const int64_t *dims)
{
	struct tensor *t = op_case_input(c, DTYPE_F32, rank, dims);
	float *values = t->data;

	for (int64_t i = 0; i < tensor_count(t); i++)
		values[i] = random_float(-1, 1);
	return values;
}

void op_case_random_bytes(struct op_case *c, enum dtype type, int rank, const int64_t *dims)
{
	struct tensor *t = op_case_input(c, type, rank, dims);
	uint8_t *bytes = t->data;

	for (size_t i = 0; i < tensor_bytes(t); i++)
		bytes[i] = (uint8_t)random_below(256);
}

void op_case_scalar_f32(struct op_case *c, float value)
{
	struct tensor *t = op_case_input(c, DTYPE_F32, 0, NULL);

	*(float *)t->data = value;
}

void op_case_omit(struct op_case *c)
{
	c->omitted |= 1u << c->node.num_inputs++;
}

int op_case_run(struct op_case *c)
{
	const struct op_kernel *kernel = op_find(c->node.domain, c->node.op_type, c->node.opset);
	const struct tensor *inputs[OP_CASE_MAX], *constants[OP_CASE_MAX];
	struct tensor *outputs[OP_CASE_MAX];
	struct op_call call = {.node = &c->node, .inputs = inputs, .outputs = outputs, .pool = c->pool};
	int err;

	assert_non_null(kernel);
	for (size_t i = 0; i < OP_CASE_MAX; i++) {
		inputs[i] = c->omitted >> i & 1 ? NULL : &c->inputs[i];
		constants[i] = c->constants >> i & 1 ? &c->inputs[i] : NULL;
		outputs[i] = &c->outputs[i];
	}
	err = op_prepare(kernel, &c->node, constants, &call.state);
	assert_int_equal(err, 0);
	err = op_run(kernel, &call);
	op_release(kernel, call.state);
	memcpy(c->error, call.error, sizeof(c->error));
	return err;
}

void op_case_expect_ok(struct op_case *c)
{
	int err = op_case_run(c);

	if (err)
		fail_msg("%s: %d (%s)", c->node.op_type, err, c->error);
}

void op_case_expect_error(struct op_case *c, int err, const char *text)
{
	assert_int_equal(op_case_run(c), err);
	if (!strstr(c->error, text))
		fail_msg("%s says \"%s\", expected \"%s\" in it", c->node.op_type, c->error, text);
}

void expect_near(const struct tensor *actual, const float *expected, double rtol, double atol)
{
	assert_int_equal(actual->dtype, DTYPE_F32);
	for (int64_t i = 0; i < tensor_count(actual); i++) {
		double a = ((const float *)actual->data)[i], e = expected[i];

		if (isnan(e) ? !isnan(a) : !(a == e || fabs(a - e) <= atol + rtol * fabs(e)))
			fail_msg("element %lld is %.9g, expected %.9g", (long long)i, a, e);
	}
}

void expect_same_bytes(const struct tensor *actual, const void *expected)
{
	const uint8_t *a = actual->data, *e = expected;

	for (size_t i = 0; i < tensor_bytes(actual); i++)
		if (a[i] != e[i])
			fail_msg("element %zu of %s differs: byte 0x%02x, expected 0x%02x",
				 i / dtype_size(actual->dtype), dtype_name(actual->dtype), a[i], e[i]);
}

void expect_shape(const struct tensor *actual, int rank, const int64_t *dims)
{
	assert_int_equal(actual->rank, rank);
	for (int i = 0; i < rank; i++)
		assert_int_equal(actual->dims[i], dims[i]);
}

/* Run @op_type on the same values as floats and as doubles. */
static void compare_precisions(const char *op_type, int num_inputs, bool dilated)
{
	static const int64_t dims[][5] = {{2, 4, 7, 6, 5}, {4, 4, 3, 2, 3}, {4}}, kernel[] = {3, 2, 3},
			     two[] = {2, 2, 2}, one[] = {1, 1, 1}, pads[] = {1, 0, 1, 0, 1, 1};
	static const int ranks[] = {5, 5, 1};
	struct op_case single, wide, *both[] = {&single, &wide};

	for (int i = 0; i < 2; i++) {
		op_case_init(both[i], "", op_type, 22);
		op_case_ints(both[i], "kernel_shape", 3, kernel);
		op_case_ints(both[i], "strides", 3, dilated ? one : two);
		op_case_ints(both[i], "dilations", 3, dilated ? two : one);
		op_case_ints(both[i], "pads", 6, pads);
	}
	for (int i = 0; i < num_inputs; i++) {
		const float *values = op_case_random(&single, ranks[i], dims[i]);
		double *doubles = op_case_input(&wide, DTYPE_F64, ranks[i], dims[i])->data;

		for (int64_t j = 0; j < tensor_count(&single.inputs[i]); j++)
			doubles[j] = values[j];
	}
	op_case_expect_ok(&single);
	op_case_expect_ok(&wide);
	expect_shape(&wide.outputs[0], single.outputs[0].rank, single.outputs[0].dims);
	assert_int_equal(wide.outputs[0].dtype, DTYPE_F64);
	for (int64_t j = 0; j < tensor_count(&single.outputs[0]); j++)
		assert_float_equal(((double *)wide.outputs[0].data)[j], ((float *)single.outputs[0].data)[j], 1e-5);
	op_case_finish(&single);
	op_case_finish(&wide);
}

void expect_doubles_agree(const char *op_type, int num_inputs)
{
	compare_precisions(op_type, num_inputs, false);
	compare_precisions(op_type, num_inputs, true);
}
