/* SPDX-License-Identifier: MIT */
/* See assemble.h. */
#include "tests/unit/sim/assemble.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void assembly_init(struct assembly *assembly, unsigned int tiles)
{
	*assembly = (struct assembly){.tiles = tiles};
	for (unsigned int t = 0; t < tiles; t++) {
		assembly->stream[t] = malloc(MAX_CODE);
		assert_non_null(assembly->stream[t]);
	}
}

void assembly_finish(struct assembly *assembly)
{
	for (unsigned int t = 0; t < assembly->tiles; t++)
		free(assembly->stream[t]);
	free(assembly->buffer);
}

uint32_t emit(struct assembly *assembly, unsigned int tile, const union axl_insn *insn)
{
	uint32_t at = assembly->size[tile], bytes = insn->header.slots * AXL_SLOT_BYTES;

	assert_true(at + bytes <= MAX_CODE);
	memcpy(assembly->stream[tile] + at, insn, bytes);
	assembly->size[tile] += bytes;
	return (uint32_t)sizeof(struct axl_cmdbuf) + at;
}

static uint32_t stream_offset(const struct assembly *assembly, unsigned int tile)
{
	uint32_t offset = sizeof(struct axl_cmdbuf);

	for (unsigned int t = 0; t < tile; t++)
		offset += assembly->size[t];
	return offset;
}

const uint8_t *assembly_close(struct assembly *assembly, uint32_t *size)
{
	struct axl_cmdbuf header = {
		.magic = AXL_CMDBUF_MAGIC,
		.version = AXL_ISA_VERSION,
		.num_tiles = (uint8_t)assembly->tiles,
	};
	union axl_insn end = insn_seq(AXL_OP_END, 0);

	for (unsigned int t = 0; t < assembly->tiles; t++)
		emit(assembly, t, &end);
	for (unsigned int t = 0; t < assembly->tiles; t++) {
		header.streams[t].offset = stream_offset(assembly, t);
		header.streams[t].size = assembly->size[t];
	}
	header.size = *size = stream_offset(assembly, assembly->tiles);
	free(assembly->buffer);
	assembly->buffer = malloc(*size);
	assert_non_null(assembly->buffer);
	memcpy(assembly->buffer, &header, sizeof(header));
	for (unsigned int t = 0; t < assembly->tiles; t++)
		memcpy(assembly->buffer + header.streams[t].offset, assembly->stream[t], assembly->size[t]);
	return assembly->buffer;
}

uint32_t offset_of(const struct assembly *assembly, unsigned int tile, unsigned int index)
{
	uint32_t at = 0;

	while (index--)
		at += assembly->stream[tile][at + 1] * AXL_SLOT_BYTES; /* header.slots */
	return stream_offset(assembly, tile) + at;
}

/* ---- instructions ---- */

static union axl_insn transfer(uint8_t opcode, uint8_t pipe, uint32_t spad, uint64_t at, uint32_t bytes)
{
	union axl_insn insn = {.dma = {
				       .header = {.opcode = opcode, .slots = 2, .pipe = pipe},
				       .offset = at,
				       .spad = spad,
				       .mem_type = AXL_TYPE_U8,
				       .spad_type = AXL_TYPE_U8,
				       .dims = {1, 1, 1, 1, bytes},
				       .mem_stride[4] = 1,
				       .spad_stride[4] = 1,
			       }};

	return insn;
}

union axl_insn insn_load(uint32_t spad, uint64_t at, uint32_t bytes)
{
	return transfer(AXL_OP_LOAD, AXL_PIPE_LOAD, spad, MEMORY_VA + at, bytes);
}

union axl_insn insn_weight(uint32_t spad, uint64_t at, uint32_t bytes)
{
	union axl_insn insn = transfer(AXL_OP_LOAD, AXL_PIPE_WEIGHT, spad, MEMORY_VA + at, bytes);

	insn.dma.purpose = AXL_PURPOSE_WEIGHT;
	return insn;
}

union axl_insn insn_store(uint64_t at, uint32_t spad, uint32_t bytes)
{
	union axl_insn insn = transfer(AXL_OP_STORE, AXL_PIPE_STORE, spad, MEMORY_VA + at, bytes);

	insn.dma.purpose = AXL_PURPOSE_OUTPUT;
	return insn;
}

union axl_insn insn_matmul(uint32_t acc, uint32_t a, uint32_t w, uint32_t m, uint32_t k, uint32_t n)
{
	union axl_insn insn = {.conv = {
				       .header = {.opcode = AXL_OP_CONV, .slots = 2, .pipe = AXL_PIPE_MATRIX},
				       .a = a,
				       .w = w,
				       .acc = acc,
				       .a_stride_h = m * k,
				       .a_stride_w = k,
				       .w_stride_k = n,
				       .w_stride_n = 1,
				       .acc_stride = 4 * n,
				       .channels = k,
				       .n = n,
				       .out_h = 1,
				       .out_w = (uint16_t)m,
				       .in_h = 1,
				       .in_w = (uint16_t)m,
				       .kernel_h = 1,
				       .kernel_w = 1,
				       .stride_h = 1,
				       .stride_w = 1,
				       .dilation_h = 1,
				       .dilation_w = 1,
				       .in_dil_h = 1,
				       .in_dil_w = 1,
				       .a_type = AXL_TYPE_U8,
				       .w_type = AXL_TYPE_U8,
			       }};

	return insn;
}

union axl_insn insn_drain(uint32_t out, uint32_t acc, uint32_t rows, uint32_t n)
{
	union axl_insn insn = {.drain = {
				       .header = {.opcode = AXL_OP_DRAIN, .slots = 2, .pipe = AXL_PIPE_DRAIN},
				       .acc = acc,
				       .acc_stride = 4 * n,
				       .out = out,
				       .out_stride_h = 4 * n * rows,
				       .out_stride_w = 4 * n,
				       .n = n,
				       .rows_h = 1,
				       .rows_w = (uint16_t)rows,
				       .acc_type = AXL_TYPE_S32,
				       .out_type = AXL_TYPE_S32,
			       }};

	return insn;
}

union axl_insn insn_add(uint32_t dst, uint32_t src0, uint32_t src1, uint32_t count)
{
	union axl_insn insn = {.vec = {
				       .header = {.opcode = AXL_OP_VEC, .slots = 2, .pipe = AXL_PIPE_VECTOR},
				       .dst = dst,
				       .src0 = src0,
				       .src1 = src1,
				       .dst_stride[4] = 1,
				       .src0_stride[4] = 1,
				       .src1_stride[4] = 1,
				       .dims = {1, 1, 1, 1, (uint16_t)count},
				       .op = AXL_VEC_ADD,
				       .dst_type = AXL_TYPE_U8,
				       .src0_type = AXL_TYPE_U8,
				       .src1_type = AXL_TYPE_U8,
			       }};

	return insn;
}

union axl_insn insn_seq(uint8_t opcode, uint32_t count)
{
	union axl_insn insn = {.header = {.opcode = opcode, .slots = 1, .pipe = AXL_PIPE_SEQ}};

	if (opcode == AXL_OP_LOOP)
		insn.loop.count = count;
	return insn;
}

union axl_insn insn_sync(uint8_t pipe)
{
	return (union axl_insn){.header = {.opcode = AXL_OP_SYNC, .slots = 1, .pipe = pipe}};
}

union axl_insn with_wait(union axl_insn insn, uint8_t sem, uint8_t count)
{
	insn.header.wait[insn.header.wait[0].count ? 1 : 0] = (struct axl_sem_op){.sem = sem, .count = count};
	return insn;
}

union axl_insn with_signal(union axl_insn insn, uint8_t sem, uint8_t count)
{
	insn.header.signal[insn.header.signal[0].count ? 1 : 0] = (struct axl_sem_op){.sem = sem, .count = count};
	return insn;
}

/* ---- running ---- */

static int translate(void *opaque, uint64_t va, enum axl_access access, struct engine_page *page,
		     struct engine_fault *fault)
{
	struct bench *bench = opaque;

	if (va < MEMORY_VA || va - MEMORY_VA >= MEMORY_BYTES) {
		fault->cause = AXL_CAUSE_NOT_MAPPED;
		fault->access = access;
		fault->address = va;
		return -EFAULT;
	}
	*page = (struct engine_page){bench->memory + (va - MEMORY_VA), MEMORY_BYTES - (va - MEMORY_VA), true, 0};
	return 0;
}

static const struct engine_memory_ops memory_ops = {.translate = translate};

void bench_init(struct bench *bench, const char *target, unsigned int threads)
{
	memset(bench, 0, sizeof(*bench));
	bench->memory = calloc(1, MEMORY_BYTES);
	assert_non_null(bench->memory);
	assert_int_equal(engine_create(engine_config_find(target), threads, &bench->engine), 0);
	bench->job = (struct engine_job){
		.timing = true,
		.watchdog = 100000000,
		.memory = &memory_ops,
		.memory_opaque = bench,
		.trace = bench->trace,
		.trace_max = sizeof(bench->trace) / sizeof(bench->trace[0]),
	};
}

void bench_finish(struct bench *bench)
{
	if (bench->state)
		engine_state_destroy(bench->state);
	engine_destroy(bench->engine);
	free(bench->memory);
}

int bench_run(struct bench *bench, struct assembly *assembly)
{
	bench->job.cmdbuf = assembly_close(assembly, &bench->job.size);
	bench->state = NULL;
	return bench_resume(bench);
}

int bench_resume(struct bench *bench)
{
	return engine_run(bench->engine, &bench->job, &bench->state, &bench->stats, &bench->fault);
}
