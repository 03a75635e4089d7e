/* SPDX-License-Identifier: MIT */
/* Findings: made, kept, printed; and the rules themselves. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/check/checker.h"

/* More than a reader wants; a hostile model does not get more memory. */
#define MAX_FINDINGS 10000

#define REFUSES true
#define SAYS false
#define RULE_ENTRY(name, id, refuses, section, text) [RULE_##name] = {id, section, text, refuses},
static const struct check_rule rules[NUM_RULES] = {CHECK_RULES(RULE_ENTRY)};

const struct check_rule *check_rule_at(size_t index)
{
	return index < NUM_RULES ? &rules[index] : NULL;
}

/* ---- UTF-8 (RFC 3629) ---- */

/* Bytes of the character at @text, 0: none begins there. */
static size_t utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, low, high; /* range of the first byte; of the second */
		size_t length;
	} forms[] = {
		{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (*text < forms[i].first || *text > forms[i].last)
			continue;
		if (forms[i].length > 1 && (text[1] < forms[i].low || text[1] > forms[i].high))
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

static bool is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t length;

	for (; *at; at += length) {
		length = utf8_length(at);
		if (!length)
			return false;
	}
	return true;
}

/* A copy that is UTF-8: other bytes become "?". */
static char *printable(const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; at && *at;) {
		size_t length = utf8_length((const unsigned char *)at);

		if (!length || (unsigned char)*at < 0x20)
			*at = '?';
		at += length ? length : 1;
	}
	return copy;
}

void check_utf8(struct checker *checker, const struct check_scope *scope, const char *what, const char *name)
{
	if (name && !is_utf8(name))
		check_found(checker, scope, RULE_NAME_UTF8, name, "%s is not UTF-8", what);
}

/* ---- findings ---- */

static void finding_finish(struct check_finding *finding)
{
	free(finding->graph);
	free(finding->node);
	free(finding->op_type);
	free(finding->subject);
	free(finding->text);
}

void check_found(struct checker *checker, const struct check_scope *scope, enum check_rule_number rule,
		 const char *subject, const char *format, ...)
{
	struct check_report *report = checker->report;
	const Onnx__NodeProto *node = scope && scope->current >= 0 ? scope->nodes[scope->current] : NULL;
	const char *name = "";
	struct check_finding *finding;
	char text[600];
	va_list args;

	if (report->count >= MAX_FINDINGS) {
		report->omitted++;
		return;
	}
	/* Powers of two. */
	if (!(report->count & (report->count - 1))) {
		size_t room = report->count ? 2 * report->count : 1;
		struct check_finding *grown = realloc(report->findings, room * sizeof(*grown));

		if (!grown) {
			checker->err = -ENOMEM;
			return;
		}
		report->findings = grown;
	}
	if (node)
		name = *check_text(node->name)                          ? node->name
		       : node->n_output && *check_text(node->output[0]) ? node->output[0]
									: check_text(node->op_type);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	finding = &report->findings[report->count];
	*finding = (struct check_finding){
		.rule = &rules[rule],
		.graph = printable(scope ? scope->path : ""),
		.node = printable(name),
		.op_type = printable(node ? check_text(node->op_type) : ""),
		.subject = printable(subject),
		.text = printable(text),
		.index = node ? scope->current : -1,
	};
	if (finding->graph && finding->node && finding->op_type && finding->subject && finding->text) {
		report->count++;
	} else {
		finding_finish(finding);
		checker->err = -ENOMEM;
	}
}

void check_report_finish(struct check_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		finding_finish(&report->findings[i]);
	free(report->findings);
	*report = (struct check_report){0};
}

const struct check_finding *check_report_refusal(const struct check_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->findings[i].rule->refuses)
			return &report->findings[i];
	return NULL;
}

char *check_finding_text(const struct check_finding *finding, char *line, size_t size)
{
	char where[300] = "";

	if (finding->index >= 0)
		snprintf(where, sizeof(where), "%.100s: node %d %.100s (%.60s): ", finding->graph, finding->index,
			 finding->node, finding->op_type);
	else if (*finding->graph)
		snprintf(where, sizeof(where), "%.250s: ", finding->graph);
	snprintf(line, size, "%s%s [%s]", where, finding->text, finding->rule->id);
	return line;
}
