/* SPDX-License-Identifier: MIT */
/* Temporary folders and whole files, for tests of what is kept in files. All fail the test when they can not do it. */
#ifndef TESTS_UNIT_CACHE_FOLDER_H
#define TESTS_UNIT_CACHE_FOLDER_H

#include <stddef.h>
#include <stdint.h>

/* A new folder, "" at first; folder_remove() takes everything in it along. */
struct folder {
	char path[64];
};

void folder_make(struct folder *folder);
void folder_remove(const struct folder *folder);

/* How many files of that end are in @path, 0 when it is not there; the name of the last goes to @name, if not NULL, as a whole path. */
size_t folder_count(const char *path, const char *end, char name[512]);

/* The bytes of @path; free() them. */
uint8_t *file_read(const char *path, size_t *size);
void file_write(const char *path, const void *bytes, size_t size);

#endif
