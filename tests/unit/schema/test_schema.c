/* SPDX-License-Identifier: MIT */
/* The operator table: every line reads, and says what the standard says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/onnx/schema/schema.h"

#define FLOAT (UINT32_C(1) << 1)
#define INT64 (UINT32_C(1) << 7)
#define BOOL (UINT32_C(1) << 9)
#define FLOAT16 (UINT32_C(1) << 10)
#define DOUBLE (UINT32_C(1) << 11)
#define BFLOAT16 (UINT32_C(1) << 16)

static bool any_type(const struct schema_types *types)
{
	static const struct schema_types none;

	return memcmp(types, &none, sizeof(none));
}

static void parameters_read(const struct schema *schema,
			    bool (*at)(const struct schema *, size_t, struct schema_parameter *), int min, int max)
{
	struct schema_parameter parameter;
	struct schema_types types;
	size_t n = 0;

	for (; at(schema, n, &parameter); n++) {
		assert_true(parameter.name.size && parameter.type.size);
		schema_types(schema, parameter.type, &types);
		if (!any_type(&types))
			fail_msg("%s %d: %.*s has no type", schema->op_type, schema->since, (int)parameter.name.size,
				 parameter.name.at);
		if (parameter.option == SCHEMA_VARIADIC) {
			assert_int_equal(max, -1);
			break;
		}
	}
	if (max >= 0)
		assert_int_equal((size_t)max, n);
	assert_true(max < 0 || min <= max);
}

static void every_line_reads(void **state)
{
	const struct schema *schema, *before = NULL;
	struct schema_attribute attribute;
	int min, max;

	(void)state;
	for (size_t i = 0; (schema = schema_at(i)); i++) {
		if (before) {
			int order = strcmp(before->domain, schema->domain);

			if (!order)
				order = strcmp(before->op_type, schema->op_type);
			if (!order)
				order = before->since - schema->since;
			if (order >= 0)
				fail_msg("%s %d is out of order", schema->op_type, schema->since);
		}
		before = schema;
		schema_input_count(schema, &min, &max);
		parameters_read(schema, schema_input, min, max);
		schema_output_count(schema, &min, &max);
		parameters_read(schema, schema_output, min, max);
		for (size_t k = 0; schema_attribute_at(schema, k, &attribute); k++) {
			if (!attribute.name.size || !attribute.type)
				fail_msg("%s %d: attribute %zu does not read", schema->op_type, schema->since, k);
			if (attribute.fallback.size && attribute.type == 3 &&
			    !schema_attribute_allows(&attribute, attribute.fallback.at, attribute.fallback.size))
				fail_msg("%s %d: the default of %.*s is not allowed", schema->op_type, schema->since,
					 (int)attribute.name.size, attribute.name.at);
			assert_false(attribute.required && attribute.fallback.size);
		}
		assert_ptr_equal(schema_find(schema->domain, schema->op_type, schema->since), schema);
	}
}

/* As many as the standard's index of operators (docs/Operators.md, Operators-ml.md) and its change log have. */
static void the_table_is_whole(void **state)
{
	static const struct {
		const char *domain;
		size_t operators, versions;
		int newest;
	} counts[] = {
		{"", 202, 622, 28},
		{"ai.onnx.ml", 19, 25, 5},
		{"ai.onnx.preview", 1, 1, 1},
		{"ai.onnx.preview.training", 4, 4, 1},
	};

	(void)state;
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		size_t operators = 0, versions = 0;
		const char *last = "";

		for (size_t i = 0; schema_at(i); i++) {
			if (strcmp(schema_at(i)->domain, counts[c].domain))
				continue;
			versions++;
			operators += strcmp(last, schema_at(i)->op_type) != 0;
			last = schema_at(i)->op_type;
		}
		assert_int_equal(operators, counts[c].operators);
		assert_int_equal(versions, counts[c].versions);
		assert_int_equal(schema_newest(counts[c].domain), counts[c].newest);
	}
	assert_int_equal(schema_newest("ai.onnx"), 28);
	assert_int_equal(schema_newest("com.example"), 0);
}

static void versions_are_found(void **state)
{
	(void)state;
	assert_int_equal(schema_find("", "Relu", 5)->since, 1);
	assert_int_equal(schema_find("ai.onnx", "Relu", 13)->since, 13);
	assert_int_equal(schema_find("", "Relu", 99)->since, 14);
	assert_null(schema_find("", "Gelu", 19));
	assert_true(schema_has_operator("", "Gelu"));
	assert_false(schema_has_operator("", "Crop"));
	assert_null(schema_find("ai.onnx.ml", "Relu", 3));
	assert_true(schema_find("", "Upsample", 10)->deprecated);
	assert_false(schema_find("", "Upsample", 9)->deprecated);
}

static void parameters_say_what_they_take(void **state)
{
	const struct schema *clip = schema_find("", "Clip", 13), *loop = schema_find("", "Loop", 16);
	const struct schema *zip = schema_find("ai.onnx.ml", "ZipMap", 1);
	struct schema_parameter parameter;
	struct schema_types types;
	int min, max;

	(void)state;
	schema_input_count(clip, &min, &max);
	assert_int_equal(min, 1);
	assert_int_equal(max, 3);
	assert_true(schema_input(clip, 2, &parameter));
	assert_int_equal(parameter.option, SCHEMA_OPTIONAL);
	assert_true(schema_is_variable(clip, parameter.type));
	assert_false(schema_input(clip, 3, &parameter));

	schema_input_count(loop, &min, &max);
	assert_int_equal(min, 0);
	assert_int_equal(max, -1);
	assert_true(schema_input(loop, 7, &parameter));
	assert_int_equal(parameter.option, SCHEMA_VARIADIC);
	assert_false(parameter.homogeneous);
	schema_types(loop, parameter.type, &types);
	assert_true(types.tensor & FLOAT);
	assert_true(types.sequence & INT64);
	assert_true(types.optional_sequence & BOOL);

	assert_true(schema_input(schema_find("", "Conv", 22), 0, &parameter));
	schema_types(schema_find("", "Conv", 22), parameter.type, &types);
	assert_int_equal(types.tensor, FLOAT | FLOAT16 | DOUBLE | BFLOAT16);
	assert_int_equal(types.sequence, 0);

	assert_true(schema_output(zip, 0, &parameter));
	schema_types(zip, parameter.type, &types);
	assert_int_equal(types.sequence_of_map[0], FLOAT);
	assert_int_equal(types.sequence_of_map[1], FLOAT);
	assert_int_equal(types.tensor, 0);

	/* A type instead of a variable. */
	assert_true(schema_input(schema_find("", "Reshape", 14), 1, &parameter));
	assert_false(schema_is_variable(schema_find("", "Reshape", 14), parameter.type));
	schema_types(schema_find("", "Reshape", 14), parameter.type, &types);
	assert_int_equal(types.tensor, INT64);
}

static void attributes_say_what_they_take(void **state)
{
	const struct schema *conv = schema_find("", "Conv", 11);
	struct schema_attribute attribute;

	(void)state;
	assert_true(schema_attribute_find(conv, "auto_pad", &attribute));
	assert_int_equal(attribute.type, 3);
	assert_true(schema_attribute_allows(&attribute, "SAME_LOWER", 10));
	assert_false(schema_attribute_allows(&attribute, "SAME", 4));
	assert_false(schema_attribute_allows(&attribute, "", 0));
	assert_memory_equal(attribute.fallback.at, "NOTSET", 6);
	assert_true(schema_attribute_find(conv, "pads", &attribute));
	assert_true(schema_attribute_allows(&attribute, "anything", 8));
	assert_false(schema_attribute_find(conv, "pad", &attribute));
	assert_true(schema_attribute_find(schema_find("", "Concat", 13), "axis", &attribute));
	assert_true(attribute.required);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_reads),
		cmocka_unit_test(the_table_is_whole),
		cmocka_unit_test(versions_are_found),
		cmocka_unit_test(parameters_say_what_they_take),
		cmocka_unit_test(attributes_say_what_they_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
