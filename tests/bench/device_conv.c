/* SPDX-License-Identifier: MIT */
/*
 * The device model on products alone, timing on: GMAC/s a host thread, by operand type.
 *
 *	device_conv [ROUNDS [TYPE]]	default 20 rounds of u8, f16, f32
 *
 * Instructions a MAC: valgrind --tool=callgrind --toggle-collect=engine_run device_conv 1 u8, divided by the MACs it
 * prints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/core/engine.h"
#include "sim/core/exec.h"

enum { M = 196, K = 2304, N = 64, CONVS = 16, SPAD = 2 << 20 };

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* A buffer of CONVS products of M x K by K x N, as a layer of a network has them. */
static size_t assemble(uint8_t *code, enum axl_type type)
{
	uint32_t size = (uint32_t)exec_type_size(type), at = sizeof(struct axl_cmdbuf);
	struct axl_cmdbuf header = {.magic = AXL_CMDBUF_MAGIC, .version = AXL_ISA_VERSION, .num_tiles = 1};
	union axl_insn end = {.header = {.opcode = AXL_OP_END, .slots = 1}};
	union axl_insn conv = {.conv = {.header = {.opcode = AXL_OP_CONV, .slots = 2, .pipe = AXL_PIPE_MATRIX},
					.w = SPAD - K / 4 * N * 4,
					.a_stride_h = K / 4 * size * M,
					.a_stride_w = K / 4 * size,
					.w_stride_k = N * size,
					.w_stride_n = size,
					.acc_stride = 4 * N,
					.channels = K / 4,
					.n = N,
					.out_h = 1,
					.out_w = M,
					.in_h = 1,
					.in_w = M,
					.kernel_h = 1,
					.kernel_w = 1,
					.stride_h = 1,
					.stride_w = 1,
					.dilation_h = 1,
					.dilation_w = 1,
					.in_dil_h = 1,
					.in_dil_w = 1,
					.a_type = (uint8_t)type,
					.w_type = (uint8_t)type}};

	for (int i = 0; i < CONVS; i++, at += 2 * AXL_SLOT_BYTES)
		memcpy(code + at, &conv, 2 * AXL_SLOT_BYTES);
	memcpy(code + at, &end, AXL_SLOT_BYTES);
	at += AXL_SLOT_BYTES;
	header.size = at;
	header.streams[0].offset = sizeof(header);
	header.streams[0].size = at - (uint32_t)sizeof(header);
	memcpy(code, &header, sizeof(header));
	return at;
}

static int measure(const char *name, enum axl_type type, int rounds)
{
	static uint8_t code[sizeof(struct axl_cmdbuf) + (CONVS * 2 + 1) * AXL_SLOT_BYTES];
	struct engine_job job = {.timing = true, .cmdbuf = code};
	struct engine *engine;
	double best = 1e9;
	uint64_t macs = 0;

	if (engine_create(engine_config_find("axl-edge"), 1, &engine))
		return 1;
	job.size = (uint32_t)assemble(code, type);
	for (int i = 0; i < rounds; i++) {
		struct engine_state *state = NULL;
		struct axl_exec_stats stats;
		struct engine_fault fault;
		double begin = now();

		if (engine_run(engine, &job, &state, &stats, &fault)) {
			fprintf(stderr, "fault %u at %u\n", fault.cause, fault.offset);
			engine_destroy(engine);
			return 1;
		}
		macs = stats.macs_useful;
		best = now() - begin < best ? now() - begin : best;
	}
	printf("%-4s %llu MACs a round, best %.2f GMAC/s on one thread (%s)\n", name, (unsigned long long)macs,
	       (double)macs / best * 1e-9, exec_isa_name());
	engine_destroy(engine);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum axl_type type;
	} types[] = {{"u8", AXL_TYPE_U8}, {"f16", AXL_TYPE_F16}, {"f32", AXL_TYPE_F32}};
	int rounds = argc > 1 ? atoi(argv[1]) : 20, failed = 0;

	for (size_t i = 0; i < 3; i++)
		if (argc < 3 || !strcmp(argv[2], types[i].name))
			failed |= measure(types[i].name, types[i].type, rounds < 1 ? 1 : rounds);
	return failed;
}
