/* SPDX-License-Identifier: MIT */
/* See failing.h. */
#include "failing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static const char *const settings[] = {
	"/sys/kernel/debug/failslab/ignore-gfp-wait",
	"N",
	"/sys/kernel/debug/failslab/cache-filter",
	"Y",
	"/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait",
	"N",
	"/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem",
	"N",
	"/sys/kernel/debug/fail_page_alloc/min-order",
	"0",
	"/sys/kernel/debug/failslab/verbose",
	"0",
	"/sys/kernel/debug/fail_page_alloc/verbose",
	"0",
	"/sys/kernel/debug/fail_usercopy/verbose",
	"0",
};

/* Caches of this kernel's checks. */
static const char *const own[] = {"kmemleak_object", "kmemleak_scan_area", "debug_objects_cache"};

/* Every cache fails but its own; the name of the one that can not be told, or NULL. */
static const char *mark_caches(void)
{
	static char missing[288];
	const struct dirent *entry;
	DIR *caches;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		snprintf(missing, sizeof(missing), "/sys/kernel/slab/%s/failslab", own[i]);
		if (guest_write_text(missing, "0"))
			return missing;
	}
	caches = opendir("/sys/kernel/slab");
	if (!caches)
		return "/sys/kernel/slab";
	while ((entry = readdir(caches))) {
		bool spared = entry->d_name[0] == '.';

		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			spared |= !strcmp(entry->d_name, own[i]);
		snprintf(missing, sizeof(missing), "/sys/kernel/slab/%s/failslab", entry->d_name);
		if (!spared && guest_write_text(missing, "1"))
			break;
	}
	closedir(caches);
	return entry ? missing : NULL;
}

const char *failing_begin(void)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i += 2)
		if (guest_write_text(settings[i], settings[i + 1]))
			return settings[i];
	return mark_caches();
}

int failing_set(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	return guest_write_text("/proc/self/fail-nth", text);
}

static int left(void)
{
	char text[32] = "";

	guest_read_text("/proc/self/fail-nth", text, sizeof(text));
	return atoi(text);
}

bool failing_struck(void)
{
	return !left();
}

int failing_passed(void)
{
	return FAILING_NONE - left();
}

bool failing_explains(int err)
{
	return err == -ENOMEM || err == -EFAULT || err == -ENOSPC || err == -EAGAIN || err == -EINTR;
}

/* It ends where the next one begins. */
int failing_function(const char *name, struct failing_range *code)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512], symbol[256];
	unsigned long long at;

	if (!file)
		return -errno;
	*code = (struct failing_range){.end = ~0ull};
	while (!code->begin && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %*c %255s", &at, symbol) == 2 && !strcmp(symbol, name))
			code->begin = at;
	rewind(file);
	while (code->begin && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx", &at) == 1 && at > code->begin && at < code->end)
			code->end = at;
	fclose(file);
	return code->begin ? 0 : -ENOENT;
}

int failing_module(const char *module, struct failing_range *code)
{
	unsigned long long size = 0, bytes;
	char path[128], text[64] = "", name[64];
	FILE *file = fopen("/proc/modules", "r");

	if (!file)
		return -errno;
	while (!size && fscanf(file, "%63s %llu%*[^\n]", name, &bytes) == 2)
		if (!strcmp(name, module))
			size = bytes;
	fclose(file);
	snprintf(path, sizeof(path), "/sys/module/%s/sections/.text", module);
	guest_read_text(path, text, sizeof(text));
	code->begin = strtoull(text, NULL, 16);
	code->end = code->begin + size;
	return code->begin && size ? 0 : -ENOENT;
}

/* The addresses @what (reject or require) of the filter of a kind of allocation. */
static int set_filter(const char *kind, const char *what, const struct failing_range *code)
{
	char path[128], text[32];
	int err;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s-start", kind, what);
	snprintf(text, sizeof(text), "%#llx", code->begin);
	err = guest_write_text(path, text);
	if (err)
		return err;
	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s-end", kind, what);
	snprintf(text, sizeof(text), "%#llx", code->end);
	return guest_write_text(path, text);
}

static const struct failing_range everything = {.end = ~0ull}, nothing = {1, 1};
static enum failing_kind only;
static struct failing_range below = {.end = ~0ull};

static int apply(void)
{
	int err = set_filter("failslab", "require", only == FAILING_OBJECTS ? &below : &nothing);

	return err ? err : set_filter("fail_page_alloc", "require", only == FAILING_PAGES ? &below : &nothing);
}

int failing_only(enum failing_kind kind, const struct failing_range *spared)
{
	struct failing_range entries, slab;
	int err = failing_function("add_dma_entry", &entries);

	err = err ? err : failing_function("new_slab", &slab);
	err = err ? err : set_filter("failslab", "reject", spared ? spared : &entries);
	err = err ? err : set_filter("fail_page_alloc", "reject", &slab);
	only = kind;
	return err ? err : apply();
}

int failing_below(const struct failing_range *code)
{
	below = code ? *code : everything;
	return apply();
}
