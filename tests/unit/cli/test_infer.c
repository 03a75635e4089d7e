/* SPDX-License-Identifier: MIT */
/* Requests of the inference protocol: what is read and written for every type, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "runtime/cli/serve/datatype.h"
#include "runtime/cli/serve/infer.h"

/* A model whose inputs are its outputs. */
struct echo {
	struct accel_value_info values[2];
	struct infer_model model;
};

static void echo_init(struct echo *echo, enum dtype first, enum dtype second)
{
	echo->values[0] = (struct accel_value_info){.name = "a", .type = "", .dtype = (int32_t)first};
	echo->values[1] = (struct accel_value_info){.name = "b", .type = "", .dtype = (int32_t)second};
	echo->model = (struct infer_model){
		.name = "echo",
		.inputs = echo->values,
		.outputs = echo->values,
		.num_inputs = second ? 2 : 1,
		.num_outputs = second ? 2 : 1,
	};
}

/* Reads @json and then @binary, and gives back what the inputs are as outputs. */
static char *echo_run(const struct echo *echo, const char *json, const void *binary, size_t binary_size, size_t *size,
		      size_t *json_size)
{
	size_t length = strlen(json);
	char *body = malloc(length + binary_size + 1), *answer = NULL, error[256] = "";
	struct infer_request request;
	struct tensor outputs[2];

	assert_non_null(body);
	memcpy(body, json, length);
	if (binary_size)
		memcpy(body + length, binary, binary_size);
	if (infer_read(&echo->model, body, length + binary_size, length, &request, error, sizeof(error)))
		fail_msg("%s: %s", json, error);
	for (size_t i = 0; i < request.num_outputs; i++)
		outputs[i] = request.inputs[request.outputs[i].index];
	if (infer_write(&echo->model, &request, outputs, &answer, size, json_size, error, sizeof(error)))
		fail_msg("%s: %s", json, error);
	infer_finish(&request);
	free(body);
	return answer;
}

static void expect_data(enum dtype type, const char *data, const char *expected)
{
	struct echo echo;
	char json[512], text[512];
	char *answer;
	size_t size, json_size;

	echo_init(&echo, type, DTYPE_UNDEFINED);
	snprintf(json, sizeof(json), "{\"inputs\":[{\"name\":\"a\",\"shape\":[2],\"datatype\":\"%s\",\"data\":%s}]}",
		 datatype_name(type), data);
	snprintf(text, sizeof(text),
		 "{\"model_name\":\"echo\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"a\",\"datatype\":\"%s\","
		 "\"shape\":[2],\"data\":%s}]}",
		 datatype_name(type), expected);
	answer = echo_run(&echo, json, NULL, 0, &size, &json_size);
	assert_int_equal(size, json_size);
	assert_string_equal(answer, text);
	free(answer);
}

static void every_type_passes_as_json(void **state)
{
	(void)state;
	expect_data(DTYPE_BOOL, "[true,false]", "[true,false]");
	expect_data(DTYPE_U8, "[0,255]", "[0,255]");
	expect_data(DTYPE_U16, "[0,65535]", "[0,65535]");
	expect_data(DTYPE_U32, "[0,4294967295]", "[0,4294967295]");
	expect_data(DTYPE_U64, "[0,18446744073709551615]", "[0,18446744073709551615]");
	expect_data(DTYPE_S8, "[-128,127]", "[-128,127]");
	expect_data(DTYPE_S16, "[-32768,32767]", "[-32768,32767]");
	expect_data(DTYPE_S32, "[-2147483648,2147483647]", "[-2147483648,2147483647]");
	expect_data(DTYPE_S64, "[-9223372036854775808,9223372036854775807]",
		    "[-9223372036854775808,9223372036854775807]");
	expect_data(DTYPE_F16, "[0.5,-65504]", "[0.5,-65504]");
	expect_data(DTYPE_BF16, "[0.5,-3]", "[0.5,-3]");
	expect_data(DTYPE_F32, "[0.1,1e30]", "[0.100000001,1.00000002e+30]");
	expect_data(DTYPE_F64, "[0.1,-1e300]", "[0.10000000000000001,-1.0000000000000001e+300]");
	expect_data(DTYPE_STRING, "[\"\\u0000\\\"\\\\é\",\"\"]", "[\"\\u0000\\\"\\\\é\",\"\"]");
	/* JSON has no infinity: nothing is made up for it. */
	expect_data(DTYPE_F32, "[1e39,1]", "[null,1]");
}

static void every_type_passes_as_bytes(void **state)
{
	static const enum dtype types[] = {DTYPE_BOOL, DTYPE_U8,  DTYPE_U16, DTYPE_U32,  DTYPE_U64, DTYPE_S8, DTYPE_S16,
					   DTYPE_S32,  DTYPE_S64, DTYPE_F16, DTYPE_BF16, DTYPE_F32, DTYPE_F64};
	uint8_t bytes[32];

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t total = 3 * dtype_size(types[i]), size, json_size;
		struct echo echo;
		char json[512], *answer;

		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = types[i] == DTYPE_BOOL ? k % 2 : (uint8_t)(7 * k + i);
		echo_init(&echo, types[i], DTYPE_UNDEFINED);
		snprintf(json, sizeof(json),
			 "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"a\",\"shape\":[1,3],"
			 "\"datatype\":\"%s\",\"parameters\":{\"binary_data_size\":%zu}}]}",
			 datatype_name(types[i]), total);
		answer = echo_run(&echo, json, bytes, total, &size, &json_size);
		assert_int_equal(size - json_size, total);
		assert_memory_equal(answer + json_size, bytes, total);
		free(answer);
	}
}

static void strings_pass_as_bytes(void **state)
{
	static const char bytes[] = "\3\0\0\0a\0\xff\0\0\0\0";
	struct echo echo;
	size_t size, json_size;
	char *answer;

	(void)state;
	echo_init(&echo, DTYPE_STRING, DTYPE_UNDEFINED);
	answer = echo_run(
		&echo,
		"{\"inputs\":[{\"name\":\"a\",\"shape\":[2],\"datatype\":\"BYTES\",\"parameters\":"
		"{\"binary_data_size\":11}}],\"outputs\":[{\"name\":\"a\",\"parameters\":{\"binary_data\":true}}]}",
		bytes, 11, &size, &json_size);
	assert_int_equal(size - json_size, 11);
	assert_memory_equal(answer + json_size, bytes, 11);
	free(answer);
}

static void outputs_are_those_asked_for(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3};
	struct echo echo;
	size_t size, json_size;
	char *answer;

	(void)state;
	echo_init(&echo, DTYPE_U8, DTYPE_S32);
	/* Inputs in another order than the model's, nested arrays, an id, parameters that mean nothing here; one output as bytes. */
	answer = echo_run(
		&echo,
		"{\"id\":\"x\\\"y\",\"parameters\":{\"binary_data_output\":true,\"priority\":3},"
		"\"inputs\":[{\"name\":\"b\",\"shape\":[2,1],\"datatype\":\"INT32\",\"data\":[[-5],[6]]},"
		"{\"name\":\"a\",\"shape\":[3],\"datatype\":\"UINT8\",\"parameters\":{\"binary_data_size\":3}}],"
		"\"outputs\":[{\"name\":\"b\",\"parameters\":{\"binary_data\":false}},{\"name\":\"a\"}]}",
		bytes, sizeof(bytes), &size, &json_size);
	assert_int_equal(size - json_size, 3);
	assert_memory_equal(answer + json_size, bytes, 3);
	answer[json_size] = '\0';
	assert_string_equal(answer, "{\"model_name\":\"echo\",\"model_version\":\"1\",\"id\":\"x\\\"y\",\"outputs\":["
				    "{\"name\":\"b\",\"datatype\":\"INT32\",\"shape\":[2,1],\"data\":[-5,6]},"
				    "{\"name\":\"a\",\"datatype\":\"UINT8\",\"shape\":[3],\"parameters\":"
				    "{\"binary_data_size\":3}}]}");
	free(answer);
}

static void scalars_and_empty_tensors_pass(void **state)
{
	struct echo echo;
	size_t size, json_size;
	char *answer;

	(void)state;
	echo_init(&echo, DTYPE_F32, DTYPE_S64);
	answer = echo_run(&echo,
			  "{\"inputs\":[{\"name\":\"a\",\"shape\":[],\"datatype\":\"FP32\",\"data\":[2]},"
			  "{\"name\":\"b\",\"shape\":[0,4],\"datatype\":\"INT64\",\"data\":[]}]}",
			  NULL, 0, &size, &json_size);
	assert_non_null(strstr(answer, "\"shape\":[],\"data\":[2]"));
	assert_non_null(strstr(answer, "\"shape\":[0,4],\"data\":[]"));
	free(answer);
}

#define INPUT(rest) "{\"inputs\":[{\"name\":\"a\"," rest "}]}"
#define INT8 "\"datatype\":\"INT8\","

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *json, *binary, *words;
	} cases[] = {
		{"", "", "ends too early"},
		{"{", "", "ends too early"},
		{"[]", "", "no JSON object"},
		{"null", "", "JSON"},
		{"{} x", "", "wrong at byte"},
		{"{\"inputs\":{}}", "", "no array \"inputs\""},
		{"{}", "", "no array \"inputs\""},
		{"{\"inputs\":[]}", "", "'a' is missing"},
		{"{\"inputs\":[7]}", "", "without a name"},
		{"{\"inputs\":[{\"name\":\"a\\u0000\"}]}", "", "without a name"},
		{"{\"inputs\":[{\"name\":\"z\"}]}", "", "no input 'z'"},
		{"{\"id\":7,\"inputs\":[]}", "", "\"id\" is no string"},
		{"{\"parameters\":7,\"inputs\":[]}", "", "\"parameters\" is no object"},
		{"{\"parameters\":{\"binary_data_output\":1},\"inputs\":[]}", "", "'binary_data_output' is no boolean"},
		{"{\"parameters\":{\"sequence_id\":1},\"inputs\":[]}", "", "'sequence_id' is not supported"},
		{"{\"outputs\":7,\"inputs\":[]}", "", "\"outputs\" is no array"},
		{"{\"outputs\":[{}],\"inputs\":[]}", "", "without a name"},
		{"{\"outputs\":[{\"name\":\"z\"}],\"inputs\":[]}", "", "no output 'z'"},
		{"{\"outputs\":[{\"name\":\"a\"},{\"name\":\"a\"}],\"inputs\":[]}", "", "output 'a' is there twice"},
		{INPUT("\"shape\":[1],\"data\":[1]"), "", "datatype is not given"},
		{INPUT("\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]"), "", "FP32, the model's is INT8"},
		{INPUT("\"datatype\":\"INT9\",\"shape\":[1],\"data\":[1]"), "", "INT9, the model's is INT8"},
		{INPUT(INT8 "\"data\":[1]"), "", "\"shape\" is no array"},
		{INPUT(INT8 "\"shape\":[1.5],\"data\":[1]"), "", "dimension 0"},
		{INPUT(INT8 "\"shape\":[-1],\"data\":[1]"), "", "dimension 0"},
		{INPUT(INT8 "\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1],\"data\":[1]"), "", "13 dimensions"},
		{INPUT(INT8 "\"shape\":[4294967296,4294967296],\"data\":[1]"), "", "too many elements"},
		{INPUT(INT8 "\"shape\":[1000000000000],\"data\":[1]"), "", "1 elements of data"},
		{INPUT(INT8 "\"shape\":[1]"), "", "neither"},
		{INPUT(INT8 "\"shape\":[1],\"data\":7"), "", "no array"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[1],\"parameters\":{\"binary_data_size\":1}"), "x", "both"},
		{INPUT(INT8 "\"shape\":[2],\"data\":[1]"), "", "1 elements of data, its shape has 2"},
		{INPUT(INT8 "\"shape\":[2,1],\"data\":[[1],[1,2]]"), "", "have not its shape"},
		{INPUT(INT8 "\"shape\":[2,1],\"data\":[[1],1]"), "", "have not its shape"},
		{INPUT(INT8 "\"shape\":[2],\"data\":[1,[1]]"), "", "element 1 of the data is [ 1 ]"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[[1]]"), "", "have not its shape"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[128]"), "", "is 128, not of type INT8"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[-129]"), "", "is -129, not of type INT8"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[1.5]"), "", "is 1.5, not of type INT8"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[\"1\"]"), "", "not of type INT8"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[null]"), "", "not of type INT8"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[true]"), "", "not of type INT8"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[1]},{\"name\":\"a\""), "", "'a' is there twice"},
		{INPUT(INT8 "\"shape\":[1],\"data\":[1]"), "x", "1 bytes of binary data are of no input"},
		{INPUT(INT8 "\"shape\":[1],\"parameters\":{\"binary_data_size\":-1}"), "x", "is no size"},
		{INPUT(INT8 "\"shape\":[1],\"parameters\":{\"binary_data_size\":\"1\"}"), "x", "is no size"},
		{INPUT(INT8 "\"shape\":[1],\"parameters\":{\"binary_data_size\":2}"), "x",
		 "2 bytes of binary data, 1 are"},
		{INPUT(INT8 "\"shape\":[2],\"parameters\":{\"binary_data_size\":1}"), "x", "its shape has 2"},
		{INPUT(INT8 "\"shape\":[1],\"parameters\":{\"shared_memory_region\":\"r\"}"), "",
		 "'shared_memory_region'"},
	};
	struct infer_request request;
	struct echo echo;
	char error[256], body[1024];

	(void)state;
	echo_init(&echo, DTYPE_S8, DTYPE_UNDEFINED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].json), all = length + strlen(cases[i].binary);

		snprintf(body, sizeof(body), "%s%s", cases[i].json, cases[i].binary);
		assert_int_equal(infer_read(&echo.model, body, all, length, &request, error, sizeof(error)), -EINVAL);
		if (!strstr(error, cases[i].words))
			fail_msg("%s: '%s', expected '%s'", cases[i].json, error, cases[i].words);
	}
	/* A NUL does not hide what is behind it. */
	assert_int_equal(infer_read(&echo.model, "{\"inputs\":[]}\0x", 15, 15, &request, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "wrong at byte"));
	assert_int_equal(infer_read(&echo.model, body, 1, 2, &request, error, sizeof(error)), -EINVAL);
}

static void expect_refused(enum dtype type, const char *data, const char *words)
{
	struct infer_request request;
	struct echo echo;
	char error[256], json[512];

	echo_init(&echo, type, DTYPE_UNDEFINED);
	snprintf(json, sizeof(json), "{\"inputs\":[{\"name\":\"a\",\"shape\":[1],\"datatype\":\"%s\",%s}]}",
		 datatype_name(type), data);
	assert_int_equal(infer_read(&echo.model, json, strlen(json), strlen(json), &request, error, sizeof(error)),
			 -EINVAL);
	if (!strstr(error, words))
		fail_msg("%s: '%s', expected '%s'", json, error, words);
}

static void values_outside_their_type_are_refused(void **state)
{
	(void)state;
	expect_refused(DTYPE_U64, "\"data\":[-1]", "not of type UINT64");
	expect_refused(DTYPE_U64, "\"data\":[18446744073709551616]", "more than 64 bits at byte");
	expect_refused(DTYPE_S64, "\"data\":[-9223372036854775809]", "more than 64 bits at byte");
	expect_refused(DTYPE_F32, "\"x\":\"\\\"\",\"data\":[123456789012345678901234567890]",
		       "more than 64 bits at byte");
	/* Digits that are no integer are none. */
	expect_data(DTYPE_F64, "[123456789012345678901234567890.0,1e22]", "[1.2345678901234568e+29,1e+22]");
	expect_data(DTYPE_STRING, "[\"99999999999999999999\",\"\\\"99999999999999999999\"]",
		    "[\"99999999999999999999\",\"\\\"99999999999999999999\"]");
	expect_refused(DTYPE_S64, "\"data\":[9223372036854775808]", "not of type INT64");
	expect_refused(DTYPE_U32, "\"data\":[4294967296]", "not of type UINT32");
	expect_refused(DTYPE_BOOL, "\"data\":[1]", "not of type BOOL");
	expect_refused(DTYPE_F32, "\"data\":[\"1\"]", "not of type FP32");
	expect_refused(DTYPE_STRING, "\"data\":[1]", "not of type BYTES");
}

static void bytes_that_fit_no_element_are_refused(void **state)
{
	static const struct {
		enum dtype type;
		const char *bytes;
		size_t size;
		const char *words;
	} cases[] = {
		{DTYPE_F32, "abc", 3, "3 bytes of binary data"},
		{DTYPE_BOOL, "\2", 1, "no BOOL"},
		{DTYPE_STRING, "\1\0\0", 3, "is cut"},
		{DTYPE_STRING, "\2\0\0\0a", 5, "is cut"},
		{DTYPE_STRING, "\xff\xff\xff\xff", 4, "is cut"},
		{DTYPE_STRING, "\0\0\0\0\0\0\0\0", 8, "2 elements of binary data"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct infer_request request;
		struct echo echo;
		char error[256], body[512];
		int length;

		echo_init(&echo, cases[i].type, DTYPE_UNDEFINED);
		length = snprintf(body, sizeof(body),
				  "{\"inputs\":[{\"name\":\"a\",\"shape\":[1],\"datatype\":\"%s\",\"parameters\":"
				  "{\"binary_data_size\":%zu}}]}",
				  datatype_name(cases[i].type), cases[i].size);
		memcpy(body + length, cases[i].bytes, cases[i].size);
		assert_int_equal(infer_read(&echo.model, body, (size_t)length + cases[i].size, (size_t)length, &request,
					    error, sizeof(error)),
				 -EINVAL);
		if (!strstr(error, cases[i].words))
			fail_msg("case %zu: '%s', expected '%s'", i, error, cases[i].words);
	}
}

static void strings_that_are_no_text_need_bytes(void **state)
{
	struct tensor_string string = {(char *)"\xff", 1};
	struct tensor tensor = {.dtype = DTYPE_STRING, .rank = 0, .data = &string, .size = sizeof(string)};
	struct infer_output output = {0, false};
	struct infer_request request = {.outputs = &output, .num_outputs = 1};
	size_t size, json_size;
	struct echo echo;
	char *bytes, error[256];

	(void)state;
	echo_init(&echo, DTYPE_STRING, DTYPE_UNDEFINED);
	assert_int_equal(infer_write(&echo.model, &request, &tensor, &bytes, &size, &json_size, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "'a'"));
	assert_non_null(strstr(error, "binary"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_passes_as_json),
		cmocka_unit_test(every_type_passes_as_bytes),
		cmocka_unit_test(strings_pass_as_bytes),
		cmocka_unit_test(outputs_are_those_asked_for),
		cmocka_unit_test(scalars_and_empty_tensors_pass),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(values_outside_their_type_are_refused),
		cmocka_unit_test(bytes_that_fit_no_element_are_refused),
		cmocka_unit_test(strings_that_are_no_text_need_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
