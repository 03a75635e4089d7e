/* SPDX-License-Identifier: MIT */
/*
 * The checker on models that are good: the ONNX backend suite's, of which no finding is expected but those of a list.
 *
 *	check_suite [-x LIST] FOLDER…
 *
 * A FOLDER holds NAME/model.onnx. A line of LIST is "NAME RULE", with the reason behind a "#"; a finding that is not in it, and a
 * line without a finding, are failures. Exit code 0, 1, or 77 when there is no FOLDER.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/onnx/check/check.h"

#define MAX_LINES 256
#define LINE_SIZE 300

static struct {
	char *text;
	bool seen;
} expected[MAX_LINES];
static size_t num_expected;

static int read_list(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[LINE_SIZE];

	if (!file) {
		perror(path);
		return -1;
	}
	while (num_expected < MAX_LINES && fgets(line, sizeof(line), file)) {
		size_t length = strcspn(line, "#\n");

		while (length && line[length - 1] == ' ')
			length--;
		line[length] = '\0';
		if (length)
			expected[num_expected++].text = strdup(line);
	}
	fclose(file);
	return 0;
}

static bool is_expected(const char *name, const char *rule)
{
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "%s %s", name, rule);
	for (size_t i = 0; i < num_expected; i++)
		if (!strcmp(expected[i].text, line))
			return expected[i].seen = true;
	return false;
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
		if (option != 'x' || read_list(optarg))
			return 2;
	for (int i = optind; i < argc; i++)
		wrong += check_folder(argv[i], &models);
	if (!models)
		return 77;
	for (size_t i = 0; i < num_expected; i++) {
		if (!expected[i].seen) {
			printf("expected, and not found: %s\n", expected[i].text);
			wrong++;
		}
		free(expected[i].text);
	}
	printf("%zu models, %zu wrong findings\n", models, wrong);
	return wrong ? 1 : 0;
}
