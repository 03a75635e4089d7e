/* SPDX-License-Identifier: MIT */
/* See cache.h. The folder and its bound are in cache_folder.c; here is what a file holds and how it is read and written. */
#include "runtime/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/package/checksum.h"
#include "runtime/cache_folder.h"
#include "runtime/fail.h"

_Static_assert(sizeof(struct cache_header) == 1024, "the package behind it is aligned");

struct cache {
	char folder[CACHE_FOLDER_BYTES];
	uint64_t max_bytes;
	char message[CACHE_MESSAGE_BYTES];
};

/* ---- life ---- */

int cache_create(const char *where, uint64_t max_bytes, struct cache **cache)
{
	struct cache *c = calloc(1, sizeof(*c));
	int err;

	*cache = NULL;
	if (!c)
		return -ENOMEM;
	err = cache_folder_find(where, c->folder);
	if (!err && *c->folder && !max_bytes)
		err = cache_folder_limit(&max_bytes);
	if (err || !*c->folder) {
		free(c);
		return err;
	}
	c->max_bytes = max_bytes;
	*cache = c;
	return 0;
}

void cache_destroy(struct cache *cache)
{
	free(cache);
}

const char *cache_folder(const struct cache *cache)
{
	return cache ? cache->folder : NULL;
}

uint64_t cache_limit(const struct cache *cache)
{
	return cache ? cache->max_bytes : 0;
}

const char *cache_message(const struct cache *cache)
{
	return cache ? cache->message : "";
}

/* ---- reading ---- */

/* NULL, or what is wrong with @header. */
static const char *header_fault(const struct cache_header *header, uint64_t file_bytes, const uint8_t *key)
{
	if (memcmp(header->magic, CACHE_MAGIC, sizeof(header->magic)) || header->version != CACHE_VERSION)
		return "it is no file of this cache";
	if (header->checksum !=
	    checksum_file((const uint8_t *)header, sizeof(*header), offsetof(struct cache_header, checksum)))
		return "the checksum of its header is wrong";
	if (memcmp(header->key, key, sizeof(header->key)))
		return "it has the name of another";
	if (header->package_bytes != file_bytes - sizeof(*header))
		return "it is cut off";
	return NULL;
}

/* 0, or -EINVAL with what is wrong in @why. */
static int open_mapping(const uint8_t *mapping, uint64_t size, const uint8_t *key, struct cache_package *package,
			char *why, size_t why_size)
{
	const struct cache_header *header = (const void *)mapping;
	const char *fault = header_fault(header, size, key);

	if (fault)
		return fail(why, why_size, -EINVAL, "%s", fault);
	if (axm_open_bytes(mapping + sizeof(*header), size - sizeof(*header), &package->axm, why, why_size))
		return -EINVAL;
	package->axm.mapping = (void *)(uintptr_t)mapping;
	package->axm.mapping_size = size;
	package->notes = header->notes;
	package->notes.precision[sizeof(package->notes.precision) - 1] = '\0';
	package->notes.opset[sizeof(package->notes.opset) - 1] = '\0';
	return 0;
}

/* -ENOENT: it is not there; -EINVAL: damaged, @why; another errno: it can not be read. */
static int read_entry(const char *path, const uint8_t *key, struct cache_package *package, char *why, size_t why_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct stat status;
	void *mapping;

	if (fd < 0 || fstat(fd, &status)) {
		err = -errno;
		fail(why, why_size, err, "%s", strerror(-err));
		goto out;
	}
	if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(struct cache_header)) {
		err = fail(why, why_size, -EINVAL, "it is cut off");
		goto out;
	}
	mapping = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mapping == MAP_FAILED) {
		err = fail(why, why_size, -errno, "%s", strerror(errno));
		goto out;
	}
	err = open_mapping(mapping, (uint64_t)status.st_size, key, package, why, why_size);
	if (err)
		munmap(mapping, (size_t)status.st_size);
	else
		futimens(fd, NULL); /* in a folder that can only be read, nothing is ever removed either */
out:
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- writing ---- */

static int write_all(int fd, const void *bytes, uint64_t size)
{
	while (size) {
		ssize_t written = write(fd, bytes, size < 1u << 30 ? (size_t)size : 1u << 30);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes = (const uint8_t *)bytes + written;
		size -= (uint64_t)written;
	}
	return 0;
}

static void fill_header(struct cache_header *header, const char *path, const struct compile_options *options,
			const uint8_t *key, const struct compile_result *result)
{
	*header = (struct cache_header){.magic = CACHE_MAGIC,
					.version = CACHE_VERSION,
					.precision = options->precision,
					.package_bytes = result->size};
	memcpy(header->key, key, sizeof(header->key));
	snprintf(header->target, sizeof(header->target), "%s", options->target ? options->target : "axl-edge");
	header->notes = result->notes;
	snprintf(header->path, sizeof(header->path), "%s", path);
	header->checksum =
		checksum_file((const uint8_t *)header, sizeof(*header), offsetof(struct cache_header, checksum));
}

/*
 * No fsync: after a power failure a file may have its name and not its content, which its checksums show; that is cheaper than waiting for
 * the disk each time.
 */
static int write_entry(const struct cache *cache, const char *path, const struct cache_header *header,
		       const struct compile_result *result)
{
	char temporary[CACHE_PATH_BYTES];
	int fd, err = cache_folder_temporary(cache->folder, temporary, &fd);

	if (err)
		return err;
	err = write_all(fd, header, sizeof(*header));
	if (!err)
		err = write_all(fd, result->bytes, result->size);
	if (!err && rename(temporary, path))
		err = -errno;
	if (err)
		unlink(temporary);
	close(fd); /* its lock with it */
	return err;
}

/* ---- both ---- */

static void entry_path(const struct cache *cache, const uint8_t *key, char path[CACHE_PATH_BYTES])
{
	int length = snprintf(path, CACHE_PATH_BYTES, "%s/", cache->folder);

	for (int i = 0; i < COMPILE_KEY_BYTES; i++)
		length += snprintf(path + length, CACHE_PATH_BYTES - (size_t)length, "%02x", key[i]);
	snprintf(path + length, CACHE_PATH_BYTES - (size_t)length, "%s", CACHE_SUFFIX);
}

static int compile(const char *path, const struct compile_options *options, struct compile_result *result,
		   struct cache_package *package, char *error, size_t size)
{
	int err = compile_file(path, options, result, error, size);

	if (err)
		return err;
	err = axm_open_built(result->bytes, result->size, &package->axm, error, size);
	if (err) {
		compile_result_finish(result);
		return err;
	}
	package->bytes = result->bytes;
	package->compiled = true;
	package->notes = result->notes;
	return 0;
}

/* What was compiled goes into the cache, unless a file has changed meanwhile: then nobody knows which content it is of. */
static void keep(struct cache *cache, const char *path, const struct compile_options *options, const uint8_t *key,
		 const struct compile_result *result)
{
	uint8_t again[COMPILE_KEY_BYTES];
	struct cache_header header;
	char entry[CACHE_PATH_BYTES], why[200];
	int err;

	if (compile_key(path, options, again, why, sizeof(why)) || memcmp(key, again, sizeof(again))) {
		snprintf(cache->message, sizeof(cache->message),
			 "cache: the model has changed while it was compiled; not kept");
		return;
	}
	if (sizeof(header) + result->size > cache->max_bytes) {
		snprintf(cache->message, sizeof(cache->message), "cache: %zu bytes are more than it may hold; not kept",
			 result->size);
		return;
	}
	fill_header(&header, path, options, key, result);
	entry_path(cache, key, entry);
	err = write_entry(cache, entry, &header, result);
	if (err) {
		snprintf(cache->message, sizeof(cache->message), "cache: %s: %s; the package is not kept",
			 cache->folder, strerror(-err));
		return;
	}
	err = cache_folder_trim(cache->folder, cache->max_bytes);
	if (err)
		snprintf(cache->message, sizeof(cache->message), "cache: %s: %s; what is too much stays", cache->folder,
			 strerror(-err));
}

int cache_compile(struct cache *cache, const char *path, const struct compile_options *options,
		  struct cache_package *package, char *error, size_t error_size)
{
	struct compile_result result;
	uint8_t key[COMPILE_KEY_BYTES];
	char entry[CACHE_PATH_BYTES], why[300];
	int err;

	*package = (struct cache_package){0};
	if (!cache)
		return compile(path, options, &result, package, error, error_size);
	cache->message[0] = '\0';
	/* Who can not read a file to make the key can not compile it either: the compiler's words are the better ones. */
	if (compile_key(path, options, key, why, sizeof(why))) {
		err = compile(path, options, &result, package, error, error_size);
		if (!err)
			snprintf(cache->message, sizeof(cache->message), "cache: not used: %s", why);
		return err;
	}
	entry_path(cache, key, entry);
	err = read_entry(entry, key, package, why, sizeof(why));
	if (!err)
		return 0;
	if (err == -EINVAL) {
		unlink(entry);
		snprintf(cache->message, sizeof(cache->message), "cache: %s was damaged (%s); compiled again", entry,
			 why);
	} else if (err != -ENOENT) {
		snprintf(cache->message, sizeof(cache->message), "cache: %s: %s", entry, why);
	}
	err = compile(path, options, &result, package, error, error_size);
	if (!err)
		keep(cache, path, options, key, &result);
	return err;
}
