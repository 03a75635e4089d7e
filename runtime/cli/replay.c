/* SPDX-License-Identifier: MIT */
/* accel replay: runs the packet at which a queue of the driver's faulted again, and compares the faults. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <accel/accel.h>

#include "runtime/cli/command.h"
#include "runtime/cli/json_file.h"
#include "sim/replay/replay.h"

#define MOST_BYTES (1u << 30)
#define LIMIT_SECONDS 600

/* Until it ends: files of sysfs do not know their size. */
static int read_all(const char *path, uint8_t **bytes, size_t *size)
{
	FILE *file = fopen(path, "rb");
	size_t room = 0, got;
	uint8_t *grown;
	int err = 0;

	*bytes = NULL;
	*size = 0;
	if (!file)
		return -errno;
	do {
		if (*size == room) {
			room = room ? 2 * room : 1u << 16;
			grown = room > MOST_BYTES ? NULL : realloc(*bytes, room);
			if (!grown) {
				err = room > MOST_BYTES ? -EFBIG : -ENOMEM;
				break;
			}
			*bytes = grown;
		}
		errno = 0;
		got = fread(*bytes + *size, 1, room - *size, file);
		*size += got;
		if (!got && ferror(file))
			err = errno ? -errno : -EIO;
	} while (got);
	fclose(file);
	return err;
}

/* "sim:", or "sim:target=NAME" for the packet on another device. NULL in *target: the dump's. */
static int parse_device(const char *device, const char **target)
{
	static const char prefix[] = "sim:target=";

	*target = NULL;
	if (!strcmp(device, "sim:"))
		return 0;
	if (strncmp(device, prefix, strlen(prefix)) || !device[strlen(prefix)])
		return -1;
	*target = device + strlen(prefix);
	return 0;
}

static const char *end_text(const struct replay_result *result, char *text, size_t size)
{
	if (result->end == REPLAY_FAULTED)
		return accel_fault_text(&result->record, text, size);
	return result->end == REPLAY_RETIRED ? "the packet ended well" : "the packet did not end in time";
}

static void json_fault(struct json *json, const char *key, const struct axl_fault_record *record)
{
	char text[256];

	json_object(json, key);
	json_text(json, "text", accel_fault_text(record, text, sizeof(text)));
	json_unsigned(json, "cause", record->cause);
	json_unsigned(json, "address", record->address);
	json_unsigned(json, "packet", record->packet);
	json_unsigned(json, "offset", record->offset);
	json_unsigned(json, "access", record->access);
	json_unsigned(json, "level", record->level);
	json_unsigned(json, "tile", record->tile);
	json_unsigned(json, "pipe", record->pipe);
	json_unsigned(json, "tag", record->tag);
	json_unsigned(json, "insn_tag", record->insn_tag);
	json_unsigned(json, "cycle", record->cycle);
	json_close(json);
}

static int write_json(const char *path, const struct dump *dump, const struct replay_result *result,
		      const char *difference)
{
	struct json json;
	char text[256];

	if (json_open(&json, path))
		return EXIT_USAGE;
	json_bool(&json, "equal", !difference);
	json_text(&json, "difference", difference ? difference : "");
	json_text(&json, "target", result->target);
	json_unsigned(&json, "queue", dump->queue.number);
	json_unsigned(&json, "context", dump->queue.desc.context);
	json_unsigned(&json, "ranges", dump->num_ranges);
	json_bool(&json, "cut_code", dump->flags & AXL_DUMP_CUT_CODE);
	json_bool(&json, "cut_data", dump->flags & AXL_DUMP_CUT_DATA);
	json_fault(&json, "recorded", &dump->fault.record);
	json_text(&json, "end", end_text(result, text, sizeof(text)));
	if (result->end == REPLAY_FAULTED)
		json_fault(&json, "replayed", &result->record);
	return json_finish(&json, path) ? EXIT_USAGE : EXIT_GOOD;
}

static void print(const struct dump *dump, const struct replay_result *result, const char *difference)
{
	char text[256];

	printf("queue %u of context %u%s on %s, %zu ranges\n", dump->queue.number, dump->queue.desc.context,
	       dump->queue.flags & AXL_DUMP_QUEUE_KERNEL ? " (kernel)" : "", result->target, dump->num_ranges);
	if (dump->flags & AXL_DUMP_CUT_CODE)
		printf("not in the dump: the end of the command buffer\n");
	if (dump->flags & AXL_DUMP_CUT_DATA)
		printf("not in the dump: the contents of some mappings\n");
	printf("recorded: %s\n", accel_fault_text(&dump->fault.record, text, sizeof(text)));
	printf("replayed: %s\n", end_text(result, text, sizeof(text)));
	if (difference)
		printf("different: %s\n", difference);
	else
		printf("the same fault\n");
}

static int replay(const struct options *options, const char *target, const uint8_t *bytes, size_t size)
{
	struct replay_options how = {.target = target, .threads = options->threads};
	const char *difference = "end";
	struct replay_result result;
	struct timespec now;
	char error[256] = "";
	struct dump dump;
	int code, err = dump_open(bytes, size, &dump, error, sizeof(error));

	if (err)
		return complain(EXIT_USAGE, "%s: %s", options->model, error);
	clock_gettime(CLOCK_MONOTONIC, &now);
	how.deadline_ns = (now.tv_sec + LIMIT_SECONDS) * 1000000000ll + now.tv_nsec;
	err = replay_run(&dump, &how, &result, error, sizeof(error));
	if (err) {
		dump_finish(&dump);
		return complain(err == -EINVAL ? EXIT_USAGE : EXIT_DEVICE, "%s: %s", options->model, error);
	}
	if (result.end == REPLAY_FAULTED)
		difference = replay_difference(&dump.fault.record, &result.record);
	if (!options->quiet)
		print(&dump, &result, difference);
	code = options->json ? write_json(options->json, &dump, &result, difference) : EXIT_GOOD;
	dump_finish(&dump);
	if (code != EXIT_GOOD)
		return code;
	return difference ? EXIT_DIFFERS : EXIT_GOOD;
}

int command_replay(int argc, char **argv)
{
	struct options options;
	const char *target;
	uint8_t *bytes;
	size_t size;
	int code, err;

	if (options_parse(
		    argc, argv, "replay",
		    "Run the packet of a driver's core dump again, on the in-process device, and compare the faults.\n"
		    "The device has the dump's sizes (sim:), or those of a target (sim:target=NAME).",
		    "dnjq", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	if (parse_device(options.device, &target))
		return complain(EXIT_USAGE, "replay: '%s' is not the in-process device: sim: or sim:target=NAME",
				options.device);
	err = read_all(options.model, &bytes, &size);
	code = err ? complain(EXIT_USAGE, "%s: %s", options.model, strerror(-err))
		   : replay(&options, target, bytes, size);
	free(bytes);
	return code;
}
