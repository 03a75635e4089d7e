/* SPDX-License-Identifier: MIT */
/* See fdinfo.h. */
#include "runtime/cli/top/fdinfo.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys with a number, and where it goes. */
static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{"drm-client-id", offsetof(struct fdinfo, client)},
	{"drm-cycles-npu", offsetof(struct fdinfo, cycles)},
	{"drm-total-cycles-npu", offsetof(struct fdinfo, total_cycles)},
	{"drm-engine-npu", offsetof(struct fdinfo, engine_ns)},
	{"drm-total-system", offsetof(struct fdinfo, system)},
	{"drm-total-local", offsetof(struct fdinfo, local)},
	{"drm-resident-system", offsetof(struct fdinfo, resident)},
};

/* "NUMBER", "NUMBER ns", "NUMBER KiB" or "NUMBER MiB" up to the end of the line. */
static int parse_number(const char *text, uint64_t *value)
{
	static const struct {
		const char *name;
		unsigned int shift;
	} units[] = {{"", 0}, {" ns", 0}, {" KiB", 10}, {" MiB", 20}};
	char *end;
	size_t length;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	length = strcspn(end, "\n");
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && !errno; i++)
		if (length == strlen(units[i].name) && !memcmp(end, units[i].name, length)) {
			if (*value > UINT64_MAX >> units[i].shift)
				return -EINVAL;
			*value <<= units[i].shift;
			return 0;
		}
	return -EINVAL;
}

static int parse_line(const char *key, size_t length, const char *value, struct fdinfo *info, bool *ours)
{
	size_t size = strcspn(value, "\n");

	if (length == strlen("drm-driver") && !memcmp(key, "drm-driver", length))
		*ours = size == 3 && !memcmp(value, "axl", 3);
	if (length == strlen("drm-pdev") && !memcmp(key, "drm-pdev", length)) {
		if (!size || size >= sizeof(info->pci))
			return -EINVAL;
		memcpy(info->pci, value, size);
		info->pci[size] = '\0';
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (length == strlen(numbers[i].key) && !memcmp(key, numbers[i].key, length))
			return parse_number(value, (uint64_t *)((char *)info + numbers[i].offset));
	return 0;
}

int fdinfo_parse(const char *text, struct fdinfo *info)
{
	bool ours = false;
	int err = 0;

	memset(info, 0, sizeof(*info));
	while (*text && !err) {
		size_t line = strcspn(text, "\n"), key = strcspn(text, ":\n");
		const char *value = text + key;

		if (key < line) {
			value++;
			value += strspn(value, "\t ");
			err = parse_line(text, key, value, info, &ours);
		}
		text += line + (text[line] == '\n');
	}
	if (!ours)
		return -ENOENT; /* whatever another driver writes */
	return err ? err : *info->pci ? 0 : -EINVAL;
}

int queue_line_parse(const char *line, struct queue_line *queue)
{
	int at = 0;

	*queue = (struct queue_line){0};
	if (sscanf(line, "context %u queue %u%n", &queue->context, &queue->queue, &at) != 2 || !at)
		return -EINVAL;
	line += at;
	queue->kernel = !strncmp(line, " (kernel)", strlen(" (kernel)"));
	line += queue->kernel ? strlen(" (kernel)") : 0;
	return sscanf(line, ": state %u error %u retired %" SCNu64 " busy %" SCNu64 " generation %" SCNu64,
		      &queue->state, &queue->error, &queue->retired, &queue->busy, &queue->generation) == 5
		       ? 0
		       : -EINVAL;
}
