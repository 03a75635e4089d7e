/* SPDX-License-Identifier: MIT */
/*
 * The compile cache: packages in a folder, by compile_key(). Shared by all processes of a user; a file is there whole or not at all.
 *
 * A file is called by its key in hexadecimal and ".package": struct cache_header, then the .axm bytes as the compiler gave them. It is
 * written under another name and renamed, and never changed afterwards, so that who has it mapped keeps it when another process replaces
 * or removes it. Its modification time is that of its last use: the ones that were used longest ago go when the folder holds more than it
 * may. A file that is not what its checksums, its key or the rules of .axm say is removed, and compiled again.
 *
 * Nothing that is wrong with the cache is an error: the model is compiled, and cache_message() says why.
 */
#ifndef RUNTIME_CACHE_H
#define RUNTIME_CACHE_H

#include <limits.h>
#include <stdbool.h>

#include "compiler/compiler.h"
#include "compiler/package/axm.h"

#define CACHE_MAGIC "AXCACHE" /* 8 bytes with its NUL */
#define CACHE_VERSION 2
#define CACHE_DEFAULT_BYTES (2ull << 30)

/* @path: as the model was called when it was compiled; @checksum: checksum_file() of the header, checksum.h */
struct cache_header {
	char magic[8];
	uint32_t version;
	uint32_t precision; /* enum compile_precision */
	uint8_t key[COMPILE_KEY_BYTES];
	uint64_t package_bytes;
	char target[32];
	struct compile_notes notes;
	char path[512];
	uint8_t reserved[32];
	uint64_t checksum;
};

struct cache;

/*
 * @where:     a folder, made when it is needed; "off": no cache; NULL: what the environment says (ACCEL_CACHE: a folder or "off"; else
 *	       $XDG_CACHE_HOME/accel, else $HOME/.cache/accel, else none)
 * @max_bytes: of all files together; 0: what ACCEL_CACHE_SIZE says (a number, and K, M or G), else CACHE_DEFAULT_BYTES
 *
 * -ENOMEM; -ENAMETOOLONG; -EINVAL: ACCEL_CACHE_SIZE is no size. *@cache is NULL where there is none, which all functions take. Looks at
 * no file. One thread at a time.
 */
int cache_create(const char *where, uint64_t max_bytes, struct cache **cache);
void cache_destroy(struct cache *cache);
/* NULL: there is none. */
const char *cache_folder(const struct cache *cache);
uint64_t cache_limit(const struct cache *cache);
/* What was wrong with the cache in the last cache_compile(), a sentence, or "". Valid until the next one. */
const char *cache_message(const struct cache *cache);

/*
 * A package to run. @bytes: NULL, or the memory that @axm lies in, to be freed behind axm_close(). @compiled: it was not in the cache.
 */
struct cache_package {
	struct axm axm;
	uint8_t *bytes;
	bool compiled;
	struct compile_notes notes;
};

/* As compile_file(), whose errors it gives; from the cache where it is there, and put there where it was not. */
int cache_compile(struct cache *cache, const char *path, const struct compile_options *options,
		  struct cache_package *package, char *error, size_t error_size);

/* struct cache_entry - a file of the cache; @used: seconds since 1970; @header: zeros where it can not be read */
struct cache_entry {
	char name[NAME_MAX + 1];
	uint64_t bytes;
	int64_t used;
	struct cache_header header;
};

/* All files, the one that was used longest ago first; free(@entries). None when there is no folder. A folder's errno, -ENOMEM. */
int cache_list(const struct cache *cache, struct cache_entry **entries, size_t *count);
/* Removes all of them. The errno of the first that can not be. */
int cache_clear(const struct cache *cache);

#endif
