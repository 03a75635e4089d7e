// SPDX-License-Identifier: MIT
/*
 * Operators that only move data, on the types of one byte and less: the same bytes as with uint8, in the type of the input.
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

static const enum dtype narrow[] = {DTYPE_F8E4M3FN, DTYPE_F8E4M3FNUZ, DTYPE_F8E5M2, DTYPE_F8E5M2FNUZ,
				    DTYPE_U4,       DTYPE_S4,         DTYPE_F4E2M1, DTYPE_F8E8M0,
				    DTYPE_U2,       DTYPE_S2,         DTYPE_F6E2M3, DTYPE_F6E3M2};

static const int64_t shape[] = {2, 3, 4};

static struct tensor *bytes(struct op_case *c, enum dtype type, int rank, const int64_t *dims)
{
	struct tensor *t = op_case_input(c, type, rank, dims);

	for (int64_t i = 0; i < tensor_count(t); i++)
		((uint8_t *)t->data)[i] = (uint8_t)(i & 3);
	return t;
}

static void integers(struct op_case *c, int64_t count, const int64_t *values)
{
	memcpy(op_case_input(c, DTYPE_S64, 1, &count)->data, values, (size_t)count * sizeof(*values));
}

/* One call of each operator: inputs of @type, the rest as it needs. */
struct mover {
	const char *op_type;
	void (*fill)(struct op_case *c, enum dtype type);
};

static void only_data(struct op_case *c, enum dtype type)
{
	bytes(c, type, 3, shape);
}

static void fill_reshape(struct op_case *c, enum dtype type)
{
	bytes(c, type, 3, shape);
	integers(c, 2, (int64_t[]){4, 6});
}

static void fill_squeeze(struct op_case *c, enum dtype type)
{
	bytes(c, type, 3, (int64_t[]){2, 1, 3});
	integers(c, 1, (int64_t[]){1});
}

static void fill_unsqueeze(struct op_case *c, enum dtype type)
{
	bytes(c, type, 3, shape);
	integers(c, 1, (int64_t[]){1});
}

static void fill_concat(struct op_case *c, enum dtype type)
{
	op_case_int(c, "axis", 1);
	bytes(c, type, 3, shape);
	bytes(c, type, 3, shape);
}

static void fill_slice(struct op_case *c, enum dtype type)
{
	bytes(c, type, 3, shape);
	integers(c, 1, (int64_t[]){3});
	integers(c, 1, (int64_t[]){-100});
	integers(c, 1, (int64_t[]){2});
	integers(c, 1, (int64_t[]){-2});
}

static void fill_split(struct op_case *c, enum dtype type)
{
	op_case_int(c, "axis", 2);
	c->node.num_outputs = 2;
	bytes(c, type, 3, shape);
	integers(c, 2, (int64_t[]){1, 3});
}

static void fill_gather(struct op_case *c, enum dtype type)
{
	op_case_int(c, "axis", 1);
	bytes(c, type, 3, shape);
	integers(c, 4, (int64_t[]){2, 0, 1, 2});
}

static void fill_gather_elements(struct op_case *c, enum dtype type)
{
	bytes(c, type, 1, (int64_t[]){4});
	integers(c, 3, (int64_t[]){3, 3, 1});
}

static void fill_expand(struct op_case *c, enum dtype type)
{
	bytes(c, type, 3, (int64_t[]){2, 1, 4});
	integers(c, 3, (int64_t[]){2, 3, 4});
}

static void fill_tile(struct op_case *c, enum dtype type)
{
	bytes(c, type, 3, shape);
	integers(c, 3, (int64_t[]){1, 2, 2});
}

static void fill_pad(struct op_case *c, enum dtype type)
{
	bytes(c, type, 1, (int64_t[]){4});
	integers(c, 2, (int64_t[]){2, 1});
	((uint8_t *)op_case_input(c, type, 0, NULL)->data)[0] = 1;
}

static void fill_scatter_elements(struct op_case *c, enum dtype type)
{
	bytes(c, type, 1, (int64_t[]){8});
	integers(c, 3, (int64_t[]){6, 0, 3});
	bytes(c, type, 1, (int64_t[]){3});
}

static void fill_scatter_nd(struct op_case *c, enum dtype type)
{
	bytes(c, type, 1, (int64_t[]){8});
	memcpy(op_case_input(c, DTYPE_S64, 2, (int64_t[]){2, 1})->data, (int64_t[]){5, 1}, 2 * sizeof(int64_t));
	bytes(c, type, 1, (int64_t[]){2});
}

static void fill_where(struct op_case *c, enum dtype type)
{
	memcpy(op_case_input(c, DTYPE_BOOL, 1, (int64_t[]){4})->data, (uint8_t[]){1, 0, 0, 1}, 4);
	bytes(c, type, 3, shape);
	bytes(c, type, 1, (int64_t[]){1});
}

static const struct mover movers[] = {
	{"Identity", only_data},
	{"Transpose", only_data},
	{"Flatten", only_data},
	{"Reshape", fill_reshape},
	{"Squeeze", fill_squeeze},
	{"Unsqueeze", fill_unsqueeze},
	{"Concat", fill_concat},
	{"Slice", fill_slice},
	{"Split", fill_split},
	{"Gather", fill_gather},
	{"GatherElements", fill_gather_elements},
	{"Expand", fill_expand},
	{"Tile", fill_tile},
	{"Pad", fill_pad},
	{"ScatterElements", fill_scatter_elements},
	{"ScatterND", fill_scatter_nd},
	{"Where", fill_where},
};

static void the_same_bytes_as_uint8(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(movers) / sizeof(movers[0]); m++) {
		struct op_case plain;

		op_case_init(&plain, "", movers[m].op_type, 25);
		movers[m].fill(&plain, DTYPE_U8);
		op_case_expect_ok(&plain);
		for (size_t k = 0; k < sizeof(narrow) / sizeof(narrow[0]); k++) {
			struct op_case c;

			op_case_init(&c, "", movers[m].op_type, 25);
			movers[m].fill(&c, narrow[k]);
			op_case_expect_ok(&c);
			for (size_t i = 0; i < c.node.num_outputs; i++) {
				assert_int_equal(c.outputs[i].dtype, narrow[k]);
				assert_true(tensor_count(&c.outputs[i]) > 0);
				expect_shape(&c.outputs[i], plain.outputs[i].rank, plain.outputs[i].dims);
				expect_same_bytes(&c.outputs[i], plain.outputs[i].data);
			}
			op_case_finish(&c);
		}
		op_case_finish(&plain);
	}
}

static void bits_become_another_type_of_as_many(void **state)
{
	static const struct {
		enum dtype from, to;
		uint8_t in[8], out[8];
	} cases[] = {
		{DTYPE_F32, DTYPE_S32, {0, 0, 0x80, 0x3f}, {0, 0, 0x80, 0x3f}},
		{DTYPE_C64, DTYPE_F64, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 8}},
		{DTYPE_S8, DTYPE_F8E5M2, {0xff}, {0xff}},
		{DTYPE_S4, DTYPE_U4, {0xf9}, {0x09}},
		{DTYPE_U4, DTYPE_S4, {0x09}, {0xf9}},
		{DTYPE_F4E2M1, DTYPE_S4, {0x0f}, {0xff}},
		{DTYPE_S2, DTYPE_U2, {0xfe}, {0x02}},
		{DTYPE_F6E2M3, DTYPE_F6E3M2, {0x2f}, {0x2f}},
	};
	static const struct {
		enum dtype from;
		int64_t to;
		const char *says;
	} bad[] = {{DTYPE_F32, DTYPE_S64, "float32 has 32 bits, int64 has 64"},
		   {DTYPE_S4, DTYPE_S8, "int4 has 4 bits, int8 has 8"},
		   {DTYPE_S64, DTYPE_STRING, "has no bits to take"},
		   {DTYPE_F32, 99, "has no bits to take"}};
	struct op_case c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		op_case_init(&c, "", "BitCast", 26);
		memcpy(op_case_input(&c, cases[i].from, 0, NULL)->data, cases[i].in, dtype_size(cases[i].from));
		op_case_int(&c, "to", cases[i].to);
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, cases[i].to);
		expect_same_bytes(&c.outputs[0], cases[i].out);
		op_case_finish(&c);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		op_case_init(&c, "", "BitCast", 26);
		op_case_input(&c, bad[i].from, 0, NULL);
		op_case_int(&c, "to", bad[i].to);
		op_case_expect_error(&c, -EINVAL, bad[i].says);
		op_case_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bytes_as_uint8),
		cmocka_unit_test(bits_become_another_type_of_as_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
