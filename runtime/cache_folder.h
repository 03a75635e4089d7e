/* SPDX-License-Identifier: MIT */
/* The compile cache as a folder of files (cache.h): where it is, what is in it, what has to go. Knows nothing of what a file holds. */
#ifndef RUNTIME_CACHE_FOLDER_H
#define RUNTIME_CACHE_FOLDER_H

#include <limits.h>
#include <stdint.h>

#define CACHE_SUFFIX ".package"
#define CACHE_FOLDER_BYTES (PATH_MAX - 128)
#define CACHE_PATH_BYTES PATH_MAX
#define CACHE_MESSAGE_BYTES (PATH_MAX + 512)

/* See cache_create(); *@folder is "" for none. -ENAMETOOLONG. */
int cache_folder_find(const char *where, char folder[CACHE_FOLDER_BYTES]);
/* What the environment says, or the default. -EINVAL: the environment says no size. */
int cache_folder_limit(uint64_t *bytes);

/*
 * A new file to write, made with its @folder where that is missing, locked by @fd: cache_folder_trim() removes such a file only when nobody
 * has it locked any more. The caller renames or unlinks it and closes @fd. A file's errno.
 */
int cache_folder_temporary(const char *folder, char path[CACHE_PATH_BYTES], int *fd);

/*
 * Removes what was used longest ago until all files together have at most @max_bytes, and what processes that have died left half
 * written. Another process may remove the same files. A folder's errno.
 */
int cache_folder_trim(const char *folder, uint64_t max_bytes);

#endif
