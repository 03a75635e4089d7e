/* SPDX-License-Identifier: MIT */
/*
 * Reader of dumps (uapi/axl/axl_dump.h). Nothing in the bytes is trusted: what dump_open() lets through can be given to a
 * device and mapped as it is. Knows nothing of devices.
 */
#ifndef SIM_REPLAY_DUMP_H
#define SIM_REPLAY_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include <axl/axl_dump.h>

/* All ranges together: their page tables are memory of this process. */
#define DUMP_MAX_MAPPED (64ull << 30)

/* Contents at @va; @data points into the dump's bytes. */
struct dump_memory {
	uint64_t va, bytes;
	const uint8_t *data;
};

/*
 * What a dump holds, aligned and checked: the queue's descriptor is one that a device takes, ranges ascend and do not
 * overlap, packets have their place in the ring, ring, index page and contents lie in ranges.
 */
struct dump {
	uint16_t flags; /* AXL_DUMP_CUT_* */
	struct axl_dump_device device;
	struct axl_dump_queue queue;
	struct axl_dump_fault fault;
	struct axl_dump_packet *packets;
	struct axl_dump_range *ranges;
	struct dump_memory *memories;
	size_t num_packets, num_ranges, num_memories;
};

/*
 * @bytes stay the caller's and outlive the dump. -EINVAL: not a good dump, *error says what is wrong and at which byte;
 * -ENOMEM. On failure there is nothing to finish.
 */
int dump_open(const uint8_t *bytes, size_t size, struct dump *dump, char *error, size_t error_size);
void dump_finish(struct dump *dump);

#endif
