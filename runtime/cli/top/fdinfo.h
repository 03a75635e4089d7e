/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of one open file of a device (/proc/PID/fdinfo/FD; the kernel's Documentation/gpu/drm-usage-stats.rst), and of
 * the queues of a device (debugfs, axl_queues).
 */
#ifndef RUNTIME_CLI_TOP_FDINFO_H
#define RUNTIME_CLI_TOP_FDINFO_H

#include <stdbool.h>
#include <stdint.h>

/*
 * @pci, @client:   the device, and the file's number there: two descriptors of the same file have the same
 * @cycles:	    that the device worked for it; @total_cycles: of the device since the driver took it
 * @engine_ns:	    @cycles as time
 * @system, @local: bytes of its buffers in either memory; @resident: of them, in the system's memory, those that have pages
 */
struct fdinfo {
	char pci[32];
	uint64_t client, cycles, total_cycles, engine_ns, system, local, resident;
};

/* 0; -ENOENT: @text is not of a file of the AXL driver; -EINVAL: a line of it is not as the format says. */
int fdinfo_parse(const char *text, struct fdinfo *info);

/* One line of axl_queues. */
struct queue_line {
	unsigned int context, queue, state, error;
	bool kernel;
	uint64_t retired, busy, generation;
};

/* 0, -EINVAL. */
int queue_line_parse(const char *line, struct queue_line *queue);

#endif
