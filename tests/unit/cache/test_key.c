/* SPDX-License-Identifier: MIT */
/* The key of a package: other whenever the package may be other, the same when only names of folders and what is printed are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../graph/model.h"
#include "compiler/compiler.h"
#include "compiler/onnx/external_files.h"
#include "folder.h"

#define MOST_KEYS 40

struct keys {
	uint8_t key[MOST_KEYS][COMPILE_KEY_BYTES];
	size_t count;
};

static void take(struct keys *keys, const char *path, const struct compile_options *options)
{
	char error[512] = "";

	assert_true(keys->count < MOST_KEYS);
	if (compile_key(path, options, keys->key[keys->count++], error, sizeof(error)))
		fail_msg("%s", error);
}

/* Those of @model with @a and @b are the same. */
static void same(const char *model, struct compile_options a, struct compile_options b)
{
	struct keys keys = {.count = 0};

	take(&keys, model, &a);
	take(&keys, model, &b);
	assert_memory_equal(keys.key[0], keys.key[1], COMPILE_KEY_BYTES);
}

static void all_differ(const struct keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		for (size_t k = 0; k < i; k++)
			if (!memcmp(keys->key[i], keys->key[k], COMPILE_KEY_BYTES))
				fail_msg("keys %zu and %zu are the same", k, i);
}

static void options_that_change_the_package_change_the_key(void **state)
{
	const struct compile_dim one[] = {{"N", 1}}, two[] = {{"N", 2}}, other[] = {{"M", 1}};
	const char *model = getenv("AXL_TEST_MODEL");
	struct keys keys = {.count = 0};

	(void)state;
	take(&keys, model, &(struct compile_options){0});
	take(&keys, model, &(struct compile_options){.target = "axl-pro"});
	take(&keys, model, &(struct compile_options){.target = "cpu"});
	take(&keys, model, &(struct compile_options){.precision = COMPILE_F16});
	take(&keys, model, &(struct compile_options){.precision = COMPILE_BF16});
	take(&keys, model, &(struct compile_options){.precision = COMPILE_INT8});
	take(&keys, model, &(struct compile_options){.precision = COMPILE_INT8, .seed = 2});
	take(&keys, model, &(struct compile_options){.precision = COMPILE_INT8, .method = "entropy"});
	take(&keys, model, &(struct compile_options){.threads = 3});
	take(&keys, model, &(struct compile_options){.disable = "resident"});
	take(&keys, model, &(struct compile_options){.disable = "resident,interleave"});
	take(&keys, model, &(struct compile_options){.num_dims = 1, .dims = one});
	take(&keys, model, &(struct compile_options){.num_dims = 1, .dims = two});
	take(&keys, model, &(struct compile_options){.num_dims = 1, .dims = other});
	all_differ(&keys);
}

static void what_changes_nothing_does_not_change_the_key(void **state)
{
	const char *model = getenv("AXL_TEST_MODEL");
	struct folder folder;
	struct keys keys = {.count = 0};
	char copy[128];
	uint8_t *bytes;
	size_t size;

	(void)state;
	same(model, (struct compile_options){0}, (struct compile_options){.target = "axl-edge"});
	same(model, (struct compile_options){0}, (struct compile_options){.seed = 7});
	same(model, (struct compile_options){0}, (struct compile_options){.print_after = "graph", .print = stdout});
	same(model, (struct compile_options){0}, (struct compile_options){.disable = ""});
	same(model, (struct compile_options){0}, (struct compile_options){.threads = 2});
	same(model, (struct compile_options){.disable = "resident,interleave"},
	     (struct compile_options){.disable = "interleave,resident"});
	same(model, (struct compile_options){.precision = COMPILE_INT8},
	     (struct compile_options){.precision = COMPILE_INT8, .method = "minmax"});
	/* Without samples the method decides nothing, and in fp32 samples do not. */
	same(model, (struct compile_options){0}, (struct compile_options){.method = "mse"});
	same(model, (struct compile_options){0}, (struct compile_options){.calibration = "/nonexistent"});

	folder_make(&folder);
	snprintf(copy, sizeof(copy), "%s/other.onnx", folder.path);
	bytes = file_read(model, &size);
	file_write(copy, bytes, size);
	take(&keys, model, &(struct compile_options){0});
	take(&keys, copy, &(struct compile_options){0});
	assert_memory_equal(keys.key[0], keys.key[1], COMPILE_KEY_BYTES);
	free(bytes);
	folder_remove(&folder);
}

static void every_byte_of_the_model_counts(void **state)
{
	struct compile_options options = {0};
	struct keys keys = {.count = 0};
	struct folder folder;
	uint8_t *bytes;
	char copy[128], error[256];
	size_t size;

	(void)state;
	folder_make(&folder);
	snprintf(copy, sizeof(copy), "%s/m.onnx", folder.path);
	bytes = file_read(getenv("AXL_TEST_MODEL"), &size);
	for (size_t i = 0; i < MOST_KEYS; i++) {
		size_t at = size / MOST_KEYS * i;

		bytes[at] ^= 0x10;
		file_write(copy, bytes, size);
		/* What is no message any more has no key. */
		if (compile_key(copy, &options, keys.key[keys.count], error, sizeof(error)) == 0)
			keys.count++;
		bytes[at] ^= 0x10;
	}
	assert_true(keys.count > MOST_KEYS / 2);
	all_differ(&keys);
	free(bytes);
	folder_remove(&folder);
}

static void samples_count_by_name_and_content(void **state)
{
	const char *model = getenv("AXL_TEST_MODEL");
	struct folder folder;
	struct compile_options options = {.precision = COMPILE_INT8, .calibration = folder.path};
	struct keys keys = {.count = 0};
	char path[160], error[512];

	(void)state;
	folder_make(&folder);
	take(&keys, model, &options);
	snprintf(path, sizeof(path), "%s/input_0.pb", folder.path);
	file_write(path, "one", 3);
	take(&keys, model, &options);
	file_write(path, "two", 3);
	take(&keys, model, &options);
	snprintf(path, sizeof(path), "%s/test_data_set_0", folder.path);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/test_data_set_0/input_0.pb", folder.path);
	file_write(path, "two", 3);
	take(&keys, model, &options);
	snprintf(path, sizeof(path), "%s/rows.npy", folder.path);
	file_write(path, "rows", 4);
	take(&keys, model, &options);
	/* A file alone, and the same samples for fp16, which looks for what it can not hold. */
	take(&keys, model, &(struct compile_options){.precision = COMPILE_INT8, .calibration = path});
	take(&keys, model, &(struct compile_options){.precision = COMPILE_F16, .calibration = path});
	all_differ(&keys);

	/* What the calibration does not read does not count. */
	snprintf(path, sizeof(path), "%s/notes.txt", folder.path);
	file_write(path, "x", 1);
	take(&keys, model, &options);
	assert_memory_equal(keys.key[4], keys.key[7], COMPILE_KEY_BYTES);

	options.calibration = "/nonexistent";
	assert_int_equal(compile_key(model, &options, keys.key[0], error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent"));
	folder_remove(&folder);
}

static void set_external(struct model *model, Onnx__TensorProto *tensor, const char *location)
{
	Onnx__StringStringEntryProto *entry = model_alloc(model, sizeof(*entry));

	onnx__string_string_entry_proto__init(entry);
	entry->key = (char *)(uintptr_t) "location";
	entry->value = (char *)(uintptr_t)location;
	MODEL_APPEND(model, tensor->external_data, tensor->n_external_data, entry);
}

/* Tensors with data in files: an initializer, an attribute, a sparse one, one in a body, one in a function; "a" twice. */
static void make_external(struct model *model)
{
	static const int64_t dims[] = {1};
	static const float values[] = {1};
	Onnx__GraphProto *body;
	Onnx__FunctionProto *function;
	Onnx__SparseTensorProto *sparse;
	Onnx__NodeProto *node;

	model_init(model);
	body = model_alloc(model, sizeof(*body));
	function = model_alloc(model, sizeof(*function));
	sparse = model_alloc(model, sizeof(*sparse));
	onnx__graph_proto__init(body);
	onnx__function_proto__init(function);
	onnx__sparse_tensor_proto__init(sparse);
	for (size_t i = 0; i < 2; i++) {
		Onnx__TensorProto *tensor = model_floats(model, "w", 1, dims, 1, values);

		set_external(model, tensor, "a");
		model_initializer(model, tensor);
	}
	node = model_node(model, "Constant", NAMES(NULL), NAMES("c"));
	model_attribute(model, node, "value", 4)->t = model_floats(model, "", 1, dims, 1, values);
	set_external(model, node->attribute[0]->t, "folder/b");
	sparse->values = model_floats(model, "s", 1, dims, 1, values);
	set_external(model, sparse->values, "c");
	MODEL_APPEND(model, model->proto.graph->sparse_initializer, model->proto.graph->n_sparse_initializer, sparse);
	MODEL_APPEND(model, body->initializer, body->n_initializer, model_floats(model, "d", 1, dims, 1, values));
	set_external(model, body->initializer[0], "d");
	node = model_node(model, "If", NAMES("c"), NAMES("y"));
	model_attribute(model, node, "then_branch", 5)->g = body;
	node = model_make_node(model, "Constant", NAMES(NULL), NAMES("f"));
	model_attribute(model, node, "value", 4)->t = model_floats(model, "", 1, dims, 1, values);
	set_external(model, node->attribute[0]->t, "e");
	MODEL_APPEND(model, function->node, function->n_node, node);
	MODEL_APPEND(model, model->proto.functions, model->proto.n_functions, function);
}

static void all_external_files_are_found(void **state)
{
	static const char *const wanted[] = {"a", "c", "folder/b", "d", "e"};
	struct onnx_external_files files;
	struct model model;
	uint8_t *bytes;
	size_t size;

	(void)state;
	make_external(&model);
	bytes = model_pack(&model, &size);
	assert_int_equal(onnx_external_files(bytes, size, &files), 0);
	assert_int_equal(files.count, 5);
	for (size_t i = 0; i < 5; i++) {
		size_t k = 0;

		while (k < files.count && strcmp(files.locations[k], wanted[i]))
			k++;
		if (k == files.count)
			fail_msg("%s is not found", wanted[i]);
	}
	onnx_external_files_finish(&files);
	/* Cut off, and with each byte changed: whatever it says, it ends, and reads no byte beyond. */
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *exact = malloc(cut + 1);

		memcpy(exact, bytes, cut);
		onnx_external_files(exact, cut, &files);
		assert_true(files.count <= 5);
		onnx_external_files_finish(&files);
		free(exact);
		bytes[cut] ^= 0xff;
		onnx_external_files(bytes, size, &files);
		onnx_external_files_finish(&files);
		bytes[cut] ^= 0xff;
	}
	free(bytes);
	model_finish(&model);
}

static void external_content_counts(void **state)
{
	struct compile_options options = {0};
	struct keys keys = {.count = 0};
	struct folder folder;
	struct model model;
	char path[128], beside[5][128], error[512];
	uint8_t *bytes;
	size_t size;

	(void)state;
	folder_make(&folder);
	make_external(&model);
	bytes = model_pack(&model, &size);
	snprintf(path, sizeof(path), "%s/m.onnx", folder.path);
	file_write(path, bytes, size);
	snprintf(beside[0], sizeof(beside[0]), "%s/folder", folder.path);
	assert_int_equal(mkdir(beside[0], 0700), 0);
	assert_int_equal(compile_key(path, &options, keys.key[0], error, sizeof(error)), -ENOENT);
	for (size_t i = 0; i < 5; i++) {
		snprintf(beside[i], sizeof(beside[i]), "%s/%s", folder.path,
			 (const char *[]){"a", "folder/b", "c", "d", "e"}[i]);
		file_write(beside[i], "1234", 4);
	}
	take(&keys, path, &options);
	for (size_t i = 0; i < 5; i++) {
		file_write(beside[i], "1235", 4);
		take(&keys, path, &options);
	}
	all_differ(&keys);
	free(bytes);
	model_finish(&model);
	folder_remove(&folder);
}

static void what_has_no_key_says_why(void **state)
{
	const char *model = getenv("AXL_TEST_MODEL");
	const struct {
		const char *path;
		struct compile_options options;
		int err;
		const char *text;
	} cases[] = {
		{"/nonexistent.onnx", {0}, -ENOENT, "/nonexistent.onnx"},
		{"/etc/passwd", {0}, -EINVAL, "not an ONNX model"},
		{model, {.target = "axl-none"}, -EINVAL, "no target 'axl-none'"},
		{model, {.disable = "none"}, -EINVAL, "no pass 'none'"},
		{model, {.precision = COMPILE_INT8, .method = "none"}, -EINVAL, "no calibration method 'none'"},
	};
	uint8_t key[COMPILE_KEY_BYTES];
	char error[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(compile_key(cases[i].path, &cases[i].options, key, error, sizeof(error)),
				 cases[i].err);
		if (!strstr(error, cases[i].text))
			fail_msg("case %zu: %s", i, error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_change_the_package_change_the_key),
		cmocka_unit_test(what_changes_nothing_does_not_change_the_key),
		cmocka_unit_test(every_byte_of_the_model_counts),
		cmocka_unit_test(samples_count_by_name_and_content),
		cmocka_unit_test(all_external_files_are_found),
		cmocka_unit_test(external_content_counts),
		cmocka_unit_test(what_has_no_key_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
