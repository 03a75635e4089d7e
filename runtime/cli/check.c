/* SPDX-License-Identifier: MIT */
/* accel check: all that is wrong with a model, and where; then, does it compile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/check/check.h"
#include "runtime/cli/json_file.h"
#include "runtime/cli/package_input.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/session_options.h"

static void print_rules(void)
{
	const struct check_rule *rule;

	for (size_t i = 0; (rule = check_rule_at(i)); i++)
		printf("%-22s %-8s %s (%s)\n", rule->id, rule->refuses ? "refuses" : "says", rule->text, rule->section);
}

static void print_findings(const char *path, const struct check_report *report)
{
	char line[1200];

	for (size_t i = 0; i < report->count; i++)
		printf("%s: %s\n", path, check_finding_text(&report->findings[i], line, sizeof(line)));
	if (report->omitted)
		printf("%s: and %zu more\n", path, report->omitted);
	if (report->count)
		printf("%s: %zu finding%s\n", path, report->count + report->omitted,
		       report->count + report->omitted == 1 ? "" : "s");
}

static int write_json(const char *path, const char *model, const struct check_report *report)
{
	struct json json;

	if (json_open(&json, path))
		return EXIT_USAGE;
	json_text(&json, "model", model);
	json_unsigned(&json, "omitted", report->omitted);
	json_array(&json, "findings");
	for (size_t i = 0; i < report->count; i++) {
		const struct check_finding *finding = &report->findings[i];

		json_object(&json, NULL);
		json_text(&json, "rule", finding->rule->id);
		json_text(&json, "section", finding->rule->section);
		json_bool(&json, "refuses", finding->rule->refuses);
		json_text(&json, "graph", finding->graph);
		json_text(&json, "node", finding->node);
		if (finding->index >= 0)
			json_unsigned(&json, "index", (uint64_t)finding->index);
		json_text(&json, "operator", finding->op_type);
		json_text(&json, "subject", finding->subject);
		json_text(&json, "text", finding->text);
		json_close(&json);
	}
	json_close(&json);
	return json_finish(&json, path) ? EXIT_USAGE : EXIT_GOOD;
}

/* A model without findings: can it be compiled, and what is it. */
static int compile(const struct options *options)
{
	struct compile_result result;
	struct session_setup setup;
	struct progress *progress;
	char error[512] = "";
	int err;

	if (session_setup(options, &setup))
		return EXIT_USAGE;
	setup.compile.target = "cpu";
	progress = progress_of(options, "checking");
	setup.compile.progress = progress_share;
	setup.compile.progress_context = progress;
	err = compile_file(options->model, &setup.compile, &result, error, sizeof(error));
	progress_stop(progress);
	if (err)
		return complain(exit_code(err), "%s", error);
	if (!options->quiet)
		printf("%s: good, %zu nodes, %.3f GMAC\n", options->model, result.nodes, (double)result.macs / 1e9);
	compile_result_finish(&result);
	return EXIT_GOOD;
}

int command_check(int argc, char **argv)
{
	struct check_report report;
	struct options options;
	char error[512] = "";
	int code, err;

	if (options_parse(argc, argv, "check", "Check a model and say all that is wrong with it and where.", "mjlq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	if (options.rules) {
		print_rules();
		if (!options.model)
			return EXIT_GOOD;
	}
	err = check_file(options.model, &report, error, sizeof(error));
	if (err)
		return complain(exit_code(err), "%s", error);
	if (!options.quiet)
		print_findings(options.model, &report);
	code = options.json ? write_json(options.json, options.model, &report) : EXIT_GOOD;
	if (!code)
		code = report.count ? EXIT_USAGE : compile(&options);
	check_report_finish(&report);
	return code;
}
