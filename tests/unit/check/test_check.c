/* SPDX-License-Identifier: MIT */
/* The checker finds what is wrong, all of it, where it is; and nothing where nothing is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/onnx/check/check.h"
#include "compiler/onnx/import.h"
#include "tests/unit/check/bad_models.h"

static char folder[] = "/tmp/axl-check-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? bad_model_files(folder) : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"inside.bin", "leads_out.bin", "model.onnx"};
	char path[100];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void write_model(const struct model *model, char *path, size_t size)
{
	size_t bytes;
	uint8_t *packed = model_pack(model, &bytes);
	FILE *file;

	snprintf(path, size, "%s/model.onnx", folder);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_true(bytes == 0 || fwrite(packed, bytes, 1, file) == 1);
	assert_int_equal(fclose(file), 0);
	free(packed);
}

static const struct check_finding *find(const struct check_report *report, const char *rule)
{
	for (size_t i = 0; i < report->count; i++)
		if (!strcmp(report->findings[i].rule->id, rule))
			return &report->findings[i];
	return NULL;
}

static void print_all(const struct check_report *report)
{
	char line[1200];

	for (size_t i = 0; i < report->count; i++)
		print_error("  %s\n", check_finding_text(&report->findings[i], line, sizeof(line)));
}

static void a_good_model_has_no_finding(void **state)
{
	struct check_report report;
	struct model model;
	char path[100], error[300];

	(void)state;
	good_model(&model);
	assert_int_equal(check_message(&model.proto, NULL, &report), 0);
	print_all(&report);
	assert_int_equal(report.count, 0);
	check_report_finish(&report);
	write_model(&model, path, sizeof(path));
	assert_int_equal(check_file(path, &report, error, sizeof(error)), 0);
	print_all(&report);
	assert_int_equal(report.count, 0);
	check_report_finish(&report);
	model_finish(&model);
}

static void a_bad_model_is_found(const struct bad_model *bad)
{
	const struct check_finding *finding;
	struct check_report report;
	struct model model;
	char path[100], error[300] = "";
	int err;

	bad->build(&model);
	if (bad->file) {
		write_model(&model, path, sizeof(path));
		err = check_file(path, &report, error, sizeof(error));
	} else {
		err = check_message(&model.proto, folder, &report);
	}
	assert_int_equal(err, 0);
	finding = find(&report, bad->rule);
	if (!finding || strcmp(finding->node, bad->node)) {
		print_all(&report);
		fail_msg("%s: no %s at node '%s'", bad->name, bad->rule, bad->node);
	}
	check_report_finish(&report);
	model_finish(&model);
}

static void every_bad_model_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; bad_model_at(i); i++)
		a_bad_model_is_found(bad_model_at(i));
}

/* What a rule that refuses finds is not imported, and the importer says the same. */
static void what_is_refused_is_not_imported(void **state)
{
	(void)state;
	for (size_t i = 0; bad_model_at(i); i++) {
		const struct bad_model *bad = bad_model_at(i);
		const struct check_finding *refusal;
		struct check_report report;
		struct graph *graph;
		struct model model;
		char error[1500] = "", line[1200];
		size_t size;
		uint8_t *bytes;
		int err;

		bad->build(&model);
		assert_int_equal(check_message(&model.proto, folder, &report), 0);
		refusal = check_report_refusal(&report);
		bytes = model_pack(&model, &size);
		err = onnx_import_bytes(bytes, size, folder, &graph, error, sizeof(error));
		if (refusal) {
			assert_int_equal(err, -EINVAL);
			assert_null(graph);
			assert_string_equal(error, check_finding_text(refusal, line, sizeof(line)));
		} else if (err && err != -ENOTSUP) {
			fail_msg("%s: harmless for the checker, the importer says %s", bad->name, error);
		}
		if (!err)
			graph_destroy(graph);
		free(bytes);
		check_report_finish(&report);
		model_finish(&model);
	}
}

static void every_rule_has_a_bad_model(void **state)
{
	const struct check_rule *rule;

	(void)state;
	for (size_t i = 0; (rule = check_rule_at(i)); i++) {
		bool found = !strcmp(rule->id, "import"); /* below */

		for (size_t k = 0; bad_model_at(k) && !found; k++)
			found = !strcmp(bad_model_at(k)->rule, rule->id);
		if (!found)
			fail_msg("no bad model breaks %s", rule->id);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(check_rule_at(k)->id, rule->id);
	}
	for (size_t k = 0; bad_model_at(k); k++) {
		bool found = false;

		for (size_t i = 0; check_rule_at(i); i++)
			found = found || !strcmp(check_rule_at(i)->id, bad_model_at(k)->rule);
		if (!found)
			fail_msg("%s: there is no rule %s", bad_model_at(k)->name, bad_model_at(k)->rule);
	}
}

static void bytes_that_are_no_model(void **state)
{
	struct check_report report;
	char path[100], error[300];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/model.onnx", folder);
	file = fopen(path, "wb");
	fputs("no model at all", file);
	fclose(file);
	assert_int_equal(check_file(path, &report, error, sizeof(error)), 0);
	assert_non_null(find(&report, "import"));
	check_report_finish(&report);
	unlink(path);
	assert_int_equal(check_file(path, &report, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "model.onnx"));
}

/* Not only the first. */
static void all_findings_are_reported(void **state)
{
	static const char *const rules[] = {"name-undefined", "operator-unknown", "attr-unknown", "input-count"};
	struct check_report report;
	struct model model;

	(void)state;
	good_model(&model);
	model_node(&model, "Neg", NAMES("nowhere"), NAMES("a"));
	model_node(&model, "Frobnicate", NAMES("x"), NAMES("b"));
	model_attribute(&model, model_node(&model, "Abs", NAMES("x"), NAMES("c")), "power", 1)->has_f = 1;
	model_node(&model, "Add", NAMES("x"), NAMES("d"));
	assert_int_equal(check_message(&model.proto, NULL, &report), 0);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		assert_non_null(find(&report, rules[i]));
	assert_int_equal(report.count, 4);
	check_report_finish(&report);
	model_finish(&model);
}

static void findings_without_end_are_counted(void **state)
{
	struct check_report report;
	struct model model;
	Onnx__NodeProto *node;

	(void)state;
	good_model(&model);
	node = model_node(&model, "Sum", NAMES("x"), NAMES("z"));
	node->n_input = 12000;
	node->input = model_alloc(&model, node->n_input * sizeof(*node->input));
	for (size_t i = 0; i < node->n_input; i++)
		node->input[i] = (char *)"nowhere";
	assert_int_equal(check_message(&model.proto, NULL, &report), 0);
	assert_int_equal(report.count, 10000);
	assert_int_equal(report.omitted, 2000);
	check_report_finish(&report);
	model_finish(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_model_has_no_finding),      cmocka_unit_test(every_bad_model_is_found),
		cmocka_unit_test(what_is_refused_is_not_imported),  cmocka_unit_test(every_rule_has_a_bad_model),
		cmocka_unit_test(bytes_that_are_no_model),          cmocka_unit_test(all_findings_are_reported),
		cmocka_unit_test(findings_without_end_are_counted),
	};

	return cmocka_run_group_tests_name("check", tests, make_folder, remove_folder);
}
