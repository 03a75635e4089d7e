/* SPDX-License-Identifier: MIT */
/* Dumps: the input is what is changed in a good one, and what comes behind it. Those that the reader lets through are replayed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/replay/replay.h"
#include "tests/unit/replay/sample.h"

#define LIMIT_NS 20000000 /* for one replay */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replay_options options = {.threads = 1};
	struct axl_dump_header *header;
	struct replay_result result;
	struct sample sample;
	struct timespec now;
	size_t good, all;
	uint8_t *bytes, *grown;
	char error[256];
	struct dump dump;

	sample_init(&sample);
	bytes = sample_write(&sample, &good, NULL);
	all = size > good ? size : good;
	grown = realloc(bytes, all);
	if (!grown) {
		free(bytes);
		return 0;
	}
	memset(grown + good, 0, all - good);
	for (size_t i = 0; i < size; i++)
		grown[i] ^= data[i];
	/* Right, so that what is behind it is reached. */
	header = (void *)grown;
	header->magic = AXL_DUMP_MAGIC;
	header->version = AXL_DUMP_VERSION;
	header->flags = 0;
	header->reserved = 0;
	header->size = all;
	if (!dump_open(grown, all, &dump, error, sizeof(error))) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		options.deadline_ns = now.tv_sec * 1000000000ll + now.tv_nsec + LIMIT_NS;
		replay_run(&dump, &options, &result, error, sizeof(error));
		dump_finish(&dump);
	}
	free(grown);
	return 0;
}
