/* SPDX-License-Identifier: MIT */
/*
 * Which operators run, and where: the standard's table and the registry of CPU kernels, merged by name, with what the device lowers.
 * Types are those that the CPU kernel of the newest version takes, found by asking it (compiler/onnx/schema/probe.h).
 */
#include "runtime/cli/operators.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compiler/onnx/schema/probe.h"
#include "compiler/target/lower.h"
#include "runtime/cli/command.h"
#include "runtime/cli/json_file.h"
#include "runtime/cpu/op.h"

/*
 * One operator, all versions.
 * @kernels, @schemas: the first of each, and how many; they lie side by side in their tables
 */
struct row {
	const char *domain, *op_type;
	size_t kernel, num_kernels;
	size_t schema, num_schemas;
	bool device;
};

static int compare(const char *domain, const char *op_type, const char *other_domain, const char *other_type)
{
	int order = strcmp(domain, other_domain);

	return order ? order : strcmp(op_type, other_type);
}

/* The next row of the two sorted tables, from @row->kernel and @row->schema on; false past the end. */
static bool next_row(struct row *row)
{
	const struct op_kernel *kernel;
	const struct schema *schema;
	const struct lower_op *op;
	int order;

	row->kernel += row->num_kernels;
	row->schema += row->num_schemas;
	kernel = op_at(row->kernel);
	schema = schema_at(row->schema);
	if (!kernel && !schema)
		return false;
	order = !kernel ? 1 : !schema ? -1 : compare(kernel->domain, kernel->op_type, schema->domain, schema->op_type);
	row->domain = order <= 0 ? kernel->domain : schema->domain;
	row->op_type = order <= 0 ? kernel->op_type : schema->op_type;
	row->num_kernels = row->num_schemas = 0;
	while ((kernel = op_at(row->kernel + row->num_kernels)) &&
	       !compare(kernel->domain, kernel->op_type, row->domain, row->op_type))
		row->num_kernels++;
	while ((schema = schema_at(row->schema + row->num_schemas)) &&
	       !compare(schema->domain, schema->op_type, row->domain, row->op_type))
		row->num_schemas++;
	row->device = false;
	for (size_t i = 0; (op = lower_at(i)); i++)
		row->device = row->device || !compare(op->domain, op->op_type, row->domain, row->op_type);
	return true;
}

/* The newest version that models may use; NULL: the standard has none. */
static const struct schema *newest(const struct row *row)
{
	for (size_t i = row->num_schemas; i; i--)
		if (!schema_at(row->schema + i - 1)->deprecated)
			return schema_at(row->schema + i - 1);
	return NULL;
}

/* A version that no kernel serves. */
static bool is_missing(const struct schema *schema)
{
	return !schema->deprecated && !op_find(schema->domain, schema->op_type, schema->since);
}

static bool answers(const struct schema *schema, struct schema_text variable, uint32_t types, int type,
		    enum probe_answer answer)
{
	return types >> type & 1 && schema_probe(schema, variable, type) == answer;
}

/* Variables of which something is known. */
static void print_types(const struct schema *schema)
{
	struct schema_text variable;
	uint32_t types;

	for (size_t v = 0; schema && schema_variable_at(schema, v, &variable, &types); v++) {
		bool begun = false;

		for (int type = 1; type < 32; type++) {
			if (!answers(schema, variable, types, type, PROBE_TAKES))
				continue;
			if (!begun)
				printf("  %.*s:", (int)variable.size, variable.at);
			printf(" %s", schema_element_name(type));
			begun = true;
		}
	}
}

static void print_row(const struct row *row)
{
	printf("%-24s %-26s %-6s", *row->domain ? row->domain : "ai.onnx", row->op_type,
	       row->device        ? "device"
	       : row->num_kernels ? "CPU"
				  : "none");
	for (size_t i = 0; i < row->num_kernels; i++) {
		const struct op_kernel *kernel = op_at(row->kernel + i);

		printf(" %d-", kernel->since);
		if (kernel->until)
			printf("%d", kernel->until);
	}
	for (size_t i = 0; i < row->num_schemas; i++)
		if (is_missing(schema_at(row->schema + i)))
			printf(" not %d", schema_at(row->schema + i)->since);
	print_types(newest(row));
	printf("\n");
}

static void json_types(struct json *json, const char *key, const struct schema *schema, struct schema_text variable,
		       uint32_t types, enum probe_answer answer)
{
	json_array(json, key);
	for (int type = 1; type < 32; type++)
		if (answers(schema, variable, types, type, answer))
			json_text(json, NULL, schema_element_name(type));
	json_close(json);
}

static void json_row(struct json *json, const struct row *row)
{
	const struct schema *schema = newest(row);
	struct schema_text variable;
	uint32_t types;

	json_object(json, NULL);
	json_text(json, "domain", *row->domain ? row->domain : "ai.onnx");
	json_text(json, "name", row->op_type);
	json_bool(json, "device", row->device);
	json_array(json, "kernels");
	for (size_t i = 0; i < row->num_kernels; i++) {
		json_object(json, NULL);
		json_unsigned(json, "since", (uint64_t)op_at(row->kernel + i)->since);
		if (op_at(row->kernel + i)->until)
			json_unsigned(json, "until", (uint64_t)op_at(row->kernel + i)->until);
		json_close(json);
	}
	json_close(json);
	json_array(json, "versions");
	for (size_t i = 0; i < row->num_schemas; i++) {
		const struct schema *version = schema_at(row->schema + i);

		json_object(json, NULL);
		json_unsigned(json, "since", (uint64_t)version->since);
		json_bool(json, "deprecated", version->deprecated);
		json_bool(json, "missing", is_missing(version));
		json_close(json);
	}
	json_close(json);
	json_array(json, "types");
	for (size_t v = 0; schema && schema_variable_at(schema, v, &variable, &types); v++) {
		char name[32];

		snprintf(name, sizeof(name), "%.*s", (int)variable.size, variable.at);
		json_object(json, NULL);
		json_text(json, "variable", name);
		json_types(json, "takes", schema, variable, types, PROBE_TAKES);
		json_types(json, "refuses", schema, variable, types, PROBE_REFUSES);
		json_types(json, "not_known", schema, variable, types, PROBE_UNKNOWN);
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

static int write_json(const char *path)
{
	struct row row = {0};
	struct json json;

	if (json_open(&json, path))
		return EXIT_USAGE;
	json_array(&json, "operators");
	while (next_row(&row))
		json_row(&json, &row);
	json_close(&json);
	return json_finish(&json, path) ? EXIT_USAGE : EXIT_GOOD;
}

int operators_list(const char *json)
{
	struct row row = {0};
	size_t cpu = 0, device = 0, missing = 0;

	if (json)
		return write_json(json);
	printf("%-24s %-26s %-6s versions, and the types that the newest one takes on the CPU\n", "domain", "operator",
	       "runs on");
	while (next_row(&row)) {
		print_row(&row);
		cpu += row.num_kernels > 0;
		device += row.device;
		for (size_t i = 0; i < row.num_schemas; i++)
			missing += is_missing(schema_at(row.schema + i));
	}
	printf("%zu operators on the CPU, %zu of them also on the device; %zu versions of the standard's are missing\n",
	       cpu, device, missing);
	return EXIT_GOOD;
}
