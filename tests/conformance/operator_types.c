/* SPDX-License-Identifier: MIT */
/*
 * Element types that the standard allows and a kernel refuses, found by running every kernel with every type.
 *
 *	operator_types LIST	fails when a type is refused that LIST does not have
 *	operator_types -p	print the list
 *
 * A line: "DOMAIN NAME VERSION VARIABLE TYPE…".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/schema/probe.h"
#include "tests/conformance/lines.h"

#define LINE_SIZE 400

static struct lines listed;
static size_t takes, refuses, unknown;

/* The list has the type in the line that begins with @head. */
static bool is_listed(const char *head, const char *type)
{
	size_t length = strlen(head), size = strlen(type);

	for (size_t i = 0; i < listed.count; i++) {
		if (strncmp(listed.at[i].text, head, length))
			continue;
		for (const char *at = listed.at[i].text + length; (at = strstr(at, type)); at += size)
			if (at[-1] == ' ' && (at[size] == ' ' || !at[size]))
				return true;
	}
	return false;
}

/* The types that the version at @schema refuses for one variable: printed, or compared. Returns those not listed. */
static size_t ask(const struct schema *schema, struct schema_text variable, uint32_t types, bool print)
{
	char head[LINE_SIZE];
	size_t wrong = 0;
	bool begun = false;

	snprintf(head, sizeof(head), "%s %s %d %.*s", *schema->domain ? schema->domain : "ai.onnx", schema->op_type,
		 schema->since, (int)variable.size, variable.at);
	for (int type = 1; type < 32; type++) {
		enum probe_answer answer;

		if (!(types >> type & 1))
			continue;
		answer = schema_probe(schema, variable, type);
		takes += answer == PROBE_TAKES;
		refuses += answer == PROBE_REFUSES;
		unknown += answer == PROBE_UNKNOWN;
		if (answer != PROBE_REFUSES)
			continue;
		if (print)
			printf("%s %s", begun ? "" : head, schema_element_name(type));
		else if (!is_listed(head, schema_element_name(type))) {
			printf("refused, and not in the list: %s %s\n", head, schema_element_name(type));
			wrong++;
		}
		begun = true;
	}
	if (print && begun)
		printf("\n");
	return wrong;
}

int main(int argc, char **argv)
{
	bool print = argc == 2 && !strcmp(argv[1], "-p");
	size_t wrong = 0;

	if (argc != 2) {
		fprintf(stderr, "Usage: operator_types LIST | -p\n");
		return 2;
	}
	if (!print && lines_read(&listed, argv[1])) {
		lines_finish(&listed);
		return 2;
	}
	for (size_t i = 0; schema_at(i); i++) {
		struct schema_text variable;
		uint32_t types;

		for (size_t v = 0; !schema_at(i)->deprecated && schema_variable_at(schema_at(i), v, &variable, &types);
		     v++)
			wrong += ask(schema_at(i), variable, types, print);
	}
	lines_finish(&listed);
	fprintf(print ? stderr : stdout, "%zu types taken, %zu refused, of %zu nothing is known; %zu not in the list\n",
		takes, refuses, unknown, wrong);
	return wrong ? 1 : 0;
}
