/* SPDX-License-Identifier: MIT */
/*
 * The model checker: all that breaks a rule of the ONNX standard, each with its place and the rule.
 *
 * It reads the wire message, so that it goes on after a finding where an importer must stop. The importer asks it first: a
 * finding whose rule refuses stops the import; the others (a name that shadows another, nodes out of order, …) do no harm
 * to execution, and only a checker says them.
 */
#ifndef COMPILER_ONNX_CHECK_CHECK_H
#define COMPILER_ONNX_CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Onnx__ModelProto; /* onnx.pb-c.h */

/*
 * struct check_rule
 * @id:      stable, for filters: "ssa-duplicate"
 * @section: where the standard says it
 * @text:    what it demands
 * @refuses: a model that breaks it can not be run
 */
struct check_rule {
	const char *id, *section, *text;
	bool refuses;
};

/*
 * struct check_finding - one breach; the texts belong to the report
 * @graph:   path of the graph: "main", "main/loop1.body", "function f"; "" when it is about the model
 * @node:    name of the node, or its first output, or its operator; "" when it is about the graph
 * @index:   the node's position in its graph, -1: none
 * @subject: which input, output, attribute, value or domain; may be ""
 */
struct check_finding {
	const struct check_rule *rule;
	char *graph, *node, *op_type, *subject, *text;
	int index;
};

/* struct check_report - @omitted: findings past the number that is kept */
struct check_report {
	size_t count, omitted;
	struct check_finding *findings;
};

/* The rules, NULL past the last. */
const struct check_rule *check_rule_at(size_t index);

/*
 * Check @model. @folder: of the model, for external data; NULL: none is allowed. 0 whatever is found, or -ENOMEM; the report is
 * the caller's (check_report_finish()). The message is not changed. Thread-safe.
 */
int check_message(const struct Onnx__ModelProto *model, const char *folder, struct check_report *report);
/* The same for a file, which also imports it and holds its declared shapes against the inferred ones. The file's errors too. */
int check_file(const char *path, struct check_report *report, char *error, size_t error_size);
void check_report_finish(struct check_report *report);

/* One line without the path: "main: node 3 relu1 (Relu): input x: … [rule]". Returns @line. */
char *check_finding_text(const struct check_finding *finding, char *line, size_t size);
/* The first finding that refuses, or NULL. */
const struct check_finding *check_report_refusal(const struct check_report *report);

#endif
