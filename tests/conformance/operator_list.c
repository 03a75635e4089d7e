/* SPDX-License-Identifier: MIT */
/*
 * The operators of the standard against the registry of kernels.
 *
 *	operator_list LIST	compare with the list of the missing ones; exit code 1 when they differ in either direction
 *	operator_list -p	print the list
 *
 * A version of an operator is there when op_find() has a kernel for every opset in which it is the current one. Deprecated
 * versions need none: no model may use them. A line of the list is "DOMAIN NAME VERSION", ai.onnx written out; "#" begins a
 * comment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/schema/schema.h"
#include "runtime/cpu/op.h"
#include "tests/conformance/lines.h"

#define LINE_SIZE 160

/* The last opset in which the version at @index of the table is the current one. */
static int last_opset(size_t index)
{
	const struct schema *schema = schema_at(index), *next = schema_at(index + 1);

	if (next && !strcmp(next->domain, schema->domain) && !strcmp(next->op_type, schema->op_type))
		return next->since - 1;
	return schema_newest(schema->domain);
}

/* Replaced by other operators when a model is read (compiler/graph/gradient.h): no kernel ever sees it. */
static bool is_expanded(const struct schema *schema)
{
	return !strcmp(schema->domain, "ai.onnx.preview.training") && !strcmp(schema->op_type, "Gradient");
}

static bool implemented(size_t index)
{
	const struct schema *schema = schema_at(index);

	if (schema->deprecated || is_expanded(schema))
		return true;
	for (int opset = schema->since; opset <= last_opset(index); opset++)
		if (!op_find(schema->domain, schema->op_type, opset))
			return false;
	return true;
}

static void name_of(const struct schema *schema, char *line)
{
	snprintf(line, LINE_SIZE, "%s %s %d", *schema->domain ? schema->domain : "ai.onnx", schema->op_type,
		 schema->since);
}

int main(int argc, char **argv)
{
	size_t versions = 0, missing = 0, wrong = 0;
	bool print = argc == 2 && !strcmp(argv[1], "-p");
	struct lines listed = {0};
	char line[LINE_SIZE];

	if (argc != 2) {
		fprintf(stderr, "Usage: operator_list LIST | -p\n");
		return 2;
	}
	if (!print && lines_read(&listed, argv[1])) {
		lines_finish(&listed);
		return 2;
	}
	for (size_t i = 0; schema_at(i); i++) {
		struct line *found;

		versions++;
		if (implemented(i))
			continue;
		missing++;
		name_of(schema_at(i), line);
		found = lines_find(&listed, line);
		if (print) {
			printf("%s\n", line);
		} else if (found) {
			found->seen = true;
		} else {
			printf("missing, and not in the list: %s\n", line);
			wrong++;
		}
	}
	for (size_t i = 0; i < listed.count; i++) {
		if (listed.at[i].seen)
			continue;
		printf("in the list, and no longer missing (or no operator): %s\n", listed.at[i].text);
		wrong++;
	}
	lines_finish(&listed);
	if (!print)
		printf("%zu of %zu operator versions have a kernel, %zu lines of the list are wrong\n",
		       versions - missing, versions, wrong);
	return wrong ? 1 : 0;
}
