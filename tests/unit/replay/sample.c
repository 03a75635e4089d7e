/* SPDX-License-Identifier: MIT */
/* See sample.h. */
#include "tests/unit/replay/sample.h"

#include <stdlib.h>
#include <string.h>

static void init_code(struct sample *sample)
{
	struct axl_cmdbuf *header = &sample->code.header;
	struct axl_dma *store = &sample->code.store;

	*header = (struct axl_cmdbuf){
		.magic = AXL_CMDBUF_MAGIC,
		.version = AXL_ISA_VERSION,
		.num_tiles = 1,
		.size = sizeof(sample->code),
		.spad_bytes = 4096,
		.streams[0] = {sizeof(*header), sizeof(sample->code) - sizeof(*header)},
	};
	*store = (struct axl_dma){
		.header = {.opcode = AXL_OP_STORE, .slots = 2, .pipe = AXL_PIPE_STORE, .tag = 77},
		.offset = SAMPLE_NOWHERE,
		.mem_type = AXL_TYPE_U8,
		.spad_type = AXL_TYPE_U8,
		.dims = {1, 1, 1, 1, 64},
		.mem_stride = {0, 0, 0, 0, 1},
		.spad_stride = {0, 0, 0, 0, 1},
		.purpose = AXL_PURPOSE_OUTPUT,
	};
	sample->code.end.header = (struct axl_header){.opcode = AXL_OP_END, .slots = 1};
}

static void init_packets(struct sample *sample)
{
	for (uint32_t i = 0; i < SAMPLE_PACKETS; i++)
		sample->packets[i] = (struct axl_dump_packet){.index = SAMPLE_PACKET - 2 + i};
	sample->packets[2].packet.execute = (struct axl_packet_execute){
		.header = {.opcode = AXL_PKT_EXECUTE, .tag = 1234},
		.cmdbuf = SAMPLE_CODE,
		.size = sizeof(sample->code),
	};
}

void sample_init(struct sample *sample)
{
	*sample = (struct sample){
		.header = {.magic = AXL_DUMP_MAGIC, .version = AXL_DUMP_VERSION, .sections = SAMPLE_SECTIONS},
		/* axl-edge, with less memory */
		.device = {.version = AXL_ISA_VERSION << 16 | AXL_REG_INTERFACE_VERSION,
			   .tiles = 1,
			   .spad_bytes = 2u << 20,
			   .acc_bytes = 256u << 10,
			   .clock_khz = 1000000,
			   .dram_rate = 128,
			   .host_rate = 16,
			   .dram_latency = 300,
			   .host_latency = 1000,
			   .spad_banks = 16,
			   .control = AXL_CONTROL_ENABLE,
			   .mem_size = 64u << 20},
		.queue = {.desc = {.valid = 1,
				   .context = 5,
				   .slot = 3,
				   .slots = SAMPLE_SLOTS,
				   .ring = SAMPLE_RING,
				   .index = SAMPLE_INDEX,
				   .watchdog = 64},
			  .status = {.retired = SAMPLE_PACKET,
				     .state = AXL_QUEUE_FAULTED,
				     .error = AXL_CAUSE_NOT_MAPPED},
			  .write = SAMPLE_PACKET + 2,
			  .read = SAMPLE_PACKET + 1,
			  .number = 17},
		.fault.record = {.context = 5,
				 .queue = 17,
				 .packet = SAMPLE_PACKET,
				 .tag = 1234,
				 .cause = AXL_CAUSE_NOT_MAPPED,
				 .access = AXL_ACCESS_WRITE,
				 .level = 3,
				 .cmdbuf = SAMPLE_CODE,
				 .offset = sizeof(struct axl_cmdbuf),
				 .address = SAMPLE_NOWHERE,
				 .pipe = AXL_PIPE_STORE,
				 .insn_tag = 77},
		.ranges = {{SAMPLE_RING, 4096, 0, AXL_PTE_READ, 0},
			   {SAMPLE_INDEX, 4096, 0, AXL_PTE_READ | AXL_PTE_WRITE, 0},
			   {SAMPLE_CODE, 8192, 0x40000, AXL_PTE_READ | AXL_PTE_EXEC | AXL_PTE_LOCAL,
			    AXL_DUMP_RANGE_HELD}},
		.memory = {SAMPLE_CODE, sizeof(sample->code)},
	};
	init_code(sample);
	init_packets(sample);
	memcpy(sample->fault.record.insn, &sample->code.store, sizeof(sample->code.store));
}

static size_t append(uint8_t *to, size_t at, const void *from, size_t bytes)
{
	memcpy(to + at, from, bytes);
	return at + bytes;
}

uint8_t *sample_write(const struct sample *sample, size_t *size, size_t offsets[SAMPLE_SECTIONS + 1])
{
	const struct {
		const void *data;
		uint32_t item;
		size_t bytes;
	} sections[SAMPLE_SECTIONS] = {
		{&sample->device, sizeof(sample->device), sizeof(sample->device)},
		{&sample->queue, sizeof(sample->queue), sizeof(sample->queue)},
		{&sample->fault, sizeof(sample->fault), sizeof(sample->fault)},
		{sample->packets, sizeof(sample->packets[0]), sizeof(sample->packets)},
		{sample->ranges, sizeof(sample->ranges[0]), sizeof(sample->ranges)},
		/* The bytes follow the struct. */
		{&sample->memory, sizeof(sample->memory), sizeof(sample->memory) + sizeof(sample->code)},
	};
	struct axl_dump_header header = sample->header;
	uint8_t *bytes = malloc(sizeof(*sample) + 4096);
	size_t at = sizeof(header);

	if (!bytes)
		abort();
	for (uint32_t i = 0; i < SAMPLE_SECTIONS; i++) {
		const struct axl_dump_section section = {i + 1, sections[i].item, sections[i].bytes};

		at = append(bytes, at, &section, sizeof(section));
		if (offsets)
			offsets[i + 1] = at;
		if (i + 1 == AXL_DUMP_MEMORY) {
			at = append(bytes, at, &sample->memory, sizeof(sample->memory));
			at = append(bytes, at, &sample->code, sizeof(sample->code));
		} else {
			at = append(bytes, at, sections[i].data, sections[i].bytes);
		}
	}
	header.size = at;
	append(bytes, 0, &header, sizeof(header));
	*size = at;
	return bytes;
}
