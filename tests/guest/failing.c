/* SPDX-License-Identifier: MIT */
/* See failing.h. */
#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

static const char *const settings[] = {
	"/sys/kernel/debug/failslab/ignore-gfp-wait",
	"N",
	"/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait",
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

const char *failing_begin(void)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i += 2)
		if (guest_write_text(settings[i], settings[i + 1]))
			return settings[i];
	return NULL;
}

int failing_set(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	return guest_write_text("/proc/self/fail-nth", text);
}

bool failing_struck(void)
{
	char text[32] = "";
	int fd = open("/proc/self/fail-nth", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	return got > 0 && !atoi(text);
}

bool failing_explains(int err)
{
	return err == -ENOMEM || err == -EFAULT || err == -ENOSPC || err == -EAGAIN || err == -EINTR;
}

/* Where the function begins and the next one does. */
static int find(const char *name, unsigned long long range[2])
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512], symbol[256];
	unsigned long long at;

	if (!file)
		return -errno;
	range[0] = 0;
	range[1] = ~0ull;
	while (!range[0] && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %*c %255s", &at, symbol) == 2 && !strcmp(symbol, name))
			range[0] = at;
	rewind(file);
	while (range[0] && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx", &at) == 1 && at > range[0] && at < range[1])
			range[1] = at;
	fclose(file);
	return range[0] ? 0 : -ENOENT;
}

/* The range of addresses that the filters @begin and @end of every kind of allocation name. */
static int set_range(const char *begin, const char *end, const unsigned long long range[2])
{
	static const char *const kinds[] = {"failslab", "fail_page_alloc"};
	int err = 0;

	for (size_t i = 0; i < 4 && !err; i++) {
		char path[128], text[32];

		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kinds[i / 2], i % 2 ? end : begin);
		snprintf(text, sizeof(text), "%#llx", range[i % 2]);
		err = guest_write_text(path, text);
	}
	return err;
}

int failing_spare(const char *name)
{
	unsigned long long range[2];
	int err = find(name, range);

	return err ? err : set_range("reject-start", "reject-end", range);
}

int failing_below(const char *module)
{
	unsigned long long range[2] = {0, ~0ull}, size = 0;
	char path[128], text[64], name[64];
	FILE *file;

	if (!module)
		return set_range("require-start", "require-end", range);
	snprintf(path, sizeof(path), "/sys/module/%s/sections/.text", module);
	guest_read_text(path, text, sizeof(text));
	file = fopen("/proc/modules", "r");
	if (!file)
		return -errno;
	while (!size && fscanf(file, "%63s %llu%*[^\n]", name, &range[1]) == 2)
		if (!strcmp(name, module))
			size = range[1];
	fclose(file);
	range[0] = strtoull(text, NULL, 16);
	range[1] = range[0] + size;
	return range[0] && size ? set_range("require-start", "require-end", range) : -ENOENT;
}
