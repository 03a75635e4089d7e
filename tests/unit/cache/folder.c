/* SPDX-License-Identifier: MIT */
/* See folder.h. */
#include "folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void folder_make(struct folder *folder)
{
	snprintf(folder->path, sizeof(folder->path), "/tmp/axl_cache_XXXXXX");
	assert_non_null(mkdtemp(folder->path));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status;
	(void)kind;
	(void)at;
	return remove(path);
}

void folder_remove(const struct folder *folder)
{
	assert_int_equal(nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

size_t folder_count(const char *path, const char *end, char name[512])
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	while (folder && (entry = readdir(folder))) {
		size_t length = strlen(entry->d_name), size = strlen(end);

		if (entry->d_name[0] == '.' || length < size || strcmp(entry->d_name + length - size, end))
			continue;
		count++;
		if (name)
			assert_in_range(snprintf(name, 512, "%s/%s", path, entry->d_name), 1, 511);
	}
	if (folder)
		closedir(folder);
	return count;
}

uint8_t *file_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long length;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	length = ftell(file);
	assert_true(length >= 0);
	rewind(file);
	bytes = malloc((size_t)length + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)length, file), length);
	fclose(file);
	*size = (size_t)length;
	return bytes;
}

void file_write(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}
