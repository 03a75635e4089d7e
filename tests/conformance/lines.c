/* SPDX-License-Identifier: MIT */
/* See lines.h. */
#include "tests/conformance/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct lines *lines, const char *text)
{
	struct line *grown = realloc(lines->at, (lines->count + 1) * sizeof(*grown));

	if (!grown)
		return -1;
	lines->at = grown;
	grown[lines->count].seen = false;
	grown[lines->count].some_editions = !strncmp(text, "? ", 2);
	grown[lines->count].text = strdup(text + (grown[lines->count].some_editions ? 2 : 0));
	if (!grown[lines->count].text)
		return -1;
	lines->count++;
	return 0;
}

int lines_read(struct lines *lines, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	int err = file ? 0 : -1;

	while (!err && getline(&line, &room, file) >= 0) {
		size_t length = strcspn(line, "#\n");

		while (length && strchr(" \t", line[length - 1]))
			length--;
		line[length] = '\0';
		if (length)
			err = add(lines, line);
	}
	if (err || ferror(file)) {
		perror(path);
		err = -1;
	}
	free(line);
	if (file)
		fclose(file);
	return err;
}

void lines_finish(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->at[i].text);
	free(lines->at);
}

struct line *lines_find(const struct lines *lines, const char *text)
{
	for (size_t i = 0; i < lines->count; i++)
		if (!strcmp(lines->at[i].text, text))
			return &lines->at[i];
	return NULL;
}
