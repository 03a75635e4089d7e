/* SPDX-License-Identifier: MIT */
/* accel cache: what the compile cache holds. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/cache.h"
#include "runtime/cli/command.h"
#include "runtime/cli/json_file.h"

static const char *precision_name(uint32_t precision)
{
	static const char *const names[] = {"fp32", "fp16", "bf16", "int8"};

	return precision < sizeof(names) / sizeof(names[0]) ? names[precision] : "?";
}

static uint64_t total(const struct cache_entry *entries, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += entries[i].bytes;
	return bytes;
}

static void print_entries(const struct cache *cache, const struct cache_entry *entries, size_t count)
{
	if (count)
		printf("%12s  %-16s  %-10s %-9s %s\n", "bytes", "last used", "target", "precision", "model");
	for (size_t i = 0; i < count; i++) {
		const struct cache_entry *entry = &entries[i];
		time_t used = (time_t)entry->used;
		struct tm local;
		char when[32];

		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", localtime_r(&used, &local));
		if (*entry->header.path)
			printf("%12" PRIu64 "  %s  %-10s %-9s %s\n", entry->bytes, when, entry->header.target,
			       precision_name(entry->header.precision), entry->header.path);
		else
			printf("%12" PRIu64 "  %s  unreadable: %s\n", entry->bytes, when, entry->name);
	}
	printf("%s: %zu packages, %" PRIu64 " of at most %" PRIu64 " bytes\n", cache_folder(cache), count,
	       total(entries, count), cache_limit(cache));
}

static int write_json(const struct cache *cache, const struct cache_entry *entries, size_t count, const char *path)
{
	struct json json;

	if (json_open(&json, path))
		return EXIT_USAGE;
	json_text(&json, "folder", cache_folder(cache));
	json_unsigned(&json, "bytes", total(entries, count));
	json_unsigned(&json, "most_bytes", cache_limit(cache));
	json_array(&json, "packages");
	for (size_t i = 0; i < count; i++) {
		json_object(&json, NULL);
		json_text(&json, "file", entries[i].name);
		json_text(&json, "model", entries[i].header.path);
		json_text(&json, "target", entries[i].header.target);
		json_text(&json, "precision", precision_name(entries[i].header.precision));
		json_unsigned(&json, "bytes", entries[i].bytes);
		json_unsigned(&json, "last_used", (uint64_t)entries[i].used);
		json_close(&json);
	}
	json_close(&json);
	return json_finish(&json, path) ? EXIT_USAGE : EXIT_GOOD;
}

static int show(const struct cache *cache, const struct options *options)
{
	struct cache_entry *entries;
	size_t count;
	int code = EXIT_GOOD, err = cache_list(cache, &entries, &count);

	if (err)
		return complain(EXIT_USAGE, "%s: %s", cache_folder(cache), strerror(-err));
	if (options->json)
		code = write_json(cache, entries, count, options->json);
	if (!options->quiet)
		print_entries(cache, entries, count);
	free(entries);
	return code;
}

int command_cache(int argc, char **argv)
{
	struct options options;
	struct cache *cache;
	int code, err;

	if (options_parse(argc, argv, "cache", "List the packages that were compiled and kept, or remove them.", "CKjq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	err = cache_create(options.cache, 0, &cache);
	if (err)
		return complain(EXIT_USAGE, "ACCEL_CACHE, ACCEL_CACHE_SIZE or --cache: %s", strerror(-err));
	if (!cache)
		return complain(EXIT_USAGE, "there is no cache: ACCEL_CACHE is \"off\", or neither it nor HOME is set");
	err = options.clear ? cache_clear(cache) : 0;
	code = err ? complain(EXIT_USAGE, "%s: %s", cache_folder(cache), strerror(-err)) : show(cache, &options);
	cache_destroy(cache);
	return code;
}
