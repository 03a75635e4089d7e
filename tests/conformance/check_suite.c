/* SPDX-License-Identifier: MIT */
/*
 * The checker on models that are good: the ONNX backend suite's, of which no finding is expected but those of a list.
 *
 *	check_suite [-x LIST] FOLDER…
 *
 * A FOLDER holds NAME/model.onnx. A line of LIST is "NAME RULE", with the reason behind a "#"; a finding that is not in it, and a
 * line without a finding, are failures; a line that begins with "? " may be without one. Exit code 0, 1, or 77 when there is no FOLDER.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/onnx/check/check.h"
#include "tests/conformance/lines.h"

#define LINE_SIZE 300

static struct lines expected;

static bool is_expected(const char *name, const char *rule)
{
	char text[LINE_SIZE];
	struct line *found;

	snprintf(text, sizeof(text), "%s %s", name, rule);
	found = lines_find(&expected, text);
	return found && (found->seen = true);
}

/* Findings of one model that are not expected. */
static size_t check(const char *path, const char *name)
{
	struct check_report report;
	char text[1200];
	size_t wrong = 0;
	int err = check_file(path, &report, text, sizeof(text));

	if (err) {
		printf("%s: %s\n", name, text);
		return 1;
	}
	for (size_t i = 0; i < report.count; i++)
		if (!is_expected(name, report.findings[i].rule->id)) {
			printf("%s: %s\n", name, check_finding_text(&report.findings[i], text, sizeof(text)));
			wrong++;
		}
	check_report_finish(&report);
	return wrong;
}

static size_t check_folder(const char *folder, size_t *models)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	size_t wrong = 0;

	while (dir && (entry = readdir(dir))) {
		char path[4096];
		struct stat status;

		snprintf(path, sizeof(path), "%s/%s/model.onnx", folder, entry->d_name);
		if (*entry->d_name == '.' || stat(path, &status))
			continue;
		wrong += check(path, entry->d_name);
		++*models;
	}
	if (dir)
		closedir(dir);
	return wrong;
}

int main(int argc, char **argv)
{
	size_t wrong = 0, models = 0;
	int option;

	while ((option = getopt(argc, argv, "x:")) != -1)
		if (option != 'x' || lines_read(&expected, optarg)) {
			lines_finish(&expected);
			return 2;
		}
	for (int i = optind; i < argc; i++)
		wrong += check_folder(argv[i], &models);
	for (size_t i = 0; models && i < expected.count; i++) {
		if (expected.at[i].seen || expected.at[i].some_editions)
			continue;
		printf("expected, and not found: %s\n", expected.at[i].text);
		wrong++;
	}
	lines_finish(&expected);
	if (!models)
		return 77;
	printf("%zu models, %zu wrong findings\n", models, wrong);
	return wrong ? 1 : 0;
}
