/* SPDX-License-Identifier: MIT */
/*
 * A small dump to change and to break: a command buffer in local memory whose STORE goes to an address that nobody mapped, behind a
 * NOP in the ring.
 */
#ifndef TESTS_UNIT_REPLAY_SAMPLE_H
#define TESTS_UNIT_REPLAY_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include <axl/axl_dump.h>
#include <axl/axl_isa.h>

#define SAMPLE_RING 0x100000ull
#define SAMPLE_INDEX 0x200000ull
#define SAMPLE_CODE 0x300000ull
#define SAMPLE_NOWHERE 0x7000000000ull
#define SAMPLE_SLOTS 8u
#define SAMPLE_PACKET 1000005ull /* at which the queue stands; the ring has turned */
#define SAMPLE_PACKETS 4u        /* of which it is number 2 */
#define SAMPLE_RANGES 3u

/* Code: LOAD-less, so that the STORE writes what the scratchpad holds at its start. */
struct sample {
	struct axl_dump_header header;
	struct axl_dump_device device;
	struct axl_dump_queue queue;
	struct axl_dump_fault fault;
	struct axl_dump_packet packets[SAMPLE_PACKETS];
	struct axl_dump_range ranges[SAMPLE_RANGES];
	struct axl_dump_memory memory;
	struct {
		struct axl_cmdbuf header;
		struct axl_dma store;
		struct axl_none end;
	} code;
};

/* The sections of a sample, in their order, in the file. */
enum { SAMPLE_SECTIONS = 6 };

void sample_init(struct sample *sample);

/* The sample as a file; free() it. @offsets: NULL, or where each section's payload begins, by type. */
uint8_t *sample_write(const struct sample *sample, size_t *size, size_t offsets[SAMPLE_SECTIONS + 1]);

#endif
