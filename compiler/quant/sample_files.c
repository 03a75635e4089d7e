/* SPDX-License-Identifier: MIT */
/* Which files are samples: the same names as in samples.c, without reading them. */
#include "compiler/quant/samples.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/fail.h"

/* @root: what quant_sample_files() was given */
struct walk {
	const char *root;
	int (*visit)(void *context, const char *name, const char *file);
	void *context;
	char *error;
	size_t error_size;
};

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), size = strlen(end);

	return length >= size && !strcmp(text + length - size, end);
}

static int is_sample(const struct dirent *entry)
{
	const char *name = entry->d_name;

	return starts_with(name, "test_data_set_") || (starts_with(name, "input_") && ends_with(name, ".pb")) ||
	       ends_with(name, ".npy");
}

/* By byte, not by the locale as alphasort() has it. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_folder(const struct walk *walk, const char *folder, bool top);

static int walk_entry(const struct walk *walk, const char *folder, const char *name, bool top)
{
	char path[PATH_MAX];
	struct stat status;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return fail(walk->error, walk->error_size, -ENAMETOOLONG, "%s: the path is too long", folder);
	if (stat(path, &status))
		return fail(walk->error, walk->error_size, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return top && starts_with(name, "test_data_set_") ? walk_folder(walk, path, false) : 0;
	return walk->visit(walk->context, path + strlen(walk->root) + 1, path);
}

static int walk_folder(const struct walk *walk, const char *folder, bool top)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_sample, by_bytes), err = 0;

	if (count < 0)
		return fail(walk->error, walk->error_size, -errno, "%s: %s", folder, strerror(errno));
	for (int i = 0; i < count; i++) {
		if (!err)
			err = walk_entry(walk, folder, entries[i]->d_name, top);
		free(entries[i]);
	}
	free(entries);
	return err;
}

int quant_sample_files(const char *path, int (*visit)(void *context, const char *name, const char *file), void *context,
		       char *error, size_t error_size)
{
	struct walk walk = {path, visit, context, error, error_size};
	struct stat status;

	if (stat(path, &status))
		return fail(error, error_size, -errno, "%s: %s", path, strerror(errno));
	return S_ISDIR(status.st_mode) ? walk_folder(&walk, path, true) : visit(context, "", path);
}
